// Scopes of templates: names, their values, and what is around them.
import type { Meter } from "./limits.ts";
import { type Caller, missing, type Value } from "./values.ts";

/** Names, in the scope of a block. */
export class Scope implements Caller {
  readonly #around: Scope | undefined;
  #names: Map<string, Value> | undefined;

  constructor(around?: Scope) {
    this.#around = around;
  }

  set(name: string, value: Value): void {
    this.#names ??= new Map();
    this.#names.set(name, value);
  }

  /** What a name is in this scope alone. */
  own(name: string): Value | undefined {
    return this.#names?.get(name);
  }

  /** What a name is here; undefined is a value too. */
  find(name: string, meter: Meter): Value {
    let depth = 0;
    for (let at: Scope | undefined = this; at; at = at.#around, depth++) {
      const found = at.#names?.get(name);
      if (found === undefined) continue;
      meter.step(depth >> 3);
      return found;
    }
    meter.step(depth >> 3);
    return missing(name);
  }
}
