// The variable `loop`, as Jinja2 has it.
import type { Meter } from "./limits.ts";
import { type Arguments, boolean, equal, fn, integer, missing, tuple, type Value } from "./values.ts";

/** What the rounds of a loop share. */
export interface LoopState {
  readonly items: Value[];
  readonly depth0: number;
  readonly meter: Meter;
  /** Runs the loop again, inside itself. */
  again(args: Arguments): Value;
  /** What `loop.changed` was asked for last. */
  last: Value | undefined;
}

/** The variable `loop`. */
export class Loop implements Value {
  readonly type = "LoopContext";
  readonly value: Value[];
  readonly marks = undefined;
  readonly #state: LoopState;
  readonly #index: number;

  constructor(state: LoopState, index: number) {
    this.value = state.items;
    this.#state = state;
    this.#index = index;
  }

  again(args: Arguments): Value {
    return this.#state.again(args);
  }

  get(name: string): Value {
    const i = this.#index;
    const n = this.value.length;
    switch (name) {
      case "index":
        return integer(i + 1);
      case "index0":
        return integer(i);
      case "revindex":
        return integer(n - i);
      case "revindex0":
        return integer(n - i - 1);
      case "first":
        return boolean(i === 0);
      case "last":
        return boolean(i === n - 1);
      case "length":
        return integer(n);
      case "depth":
        return integer(this.#state.depth0 + 1);
      case "depth0":
        return integer(this.#state.depth0);
      case "previtem":
        return this.value[i - 1] ?? missing(name);
      case "nextitem":
        return this.value[i + 1] ?? missing(name);
      case "cycle":
        return fn(({ positional }) => positional[i % positional.length] ?? missing(name));
      case "changed":
        return fn(({ positional }) => boolean(this.#isChanged(tuple([...positional]))));
      default:
        return missing(name);
    }
  }

  #isChanged(values: Value): boolean {
    const state = this.#state;
    if (state.last && equal(state.last, values, state.meter)) return false;
    state.last = values;
    return true;
  }
}
