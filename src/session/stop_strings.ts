// Stop strings in streamed text.
/**
 * Finds stop strings in streamed text. Text that might be the beginning of a stop string is held back until
 * it is certain.
 */
export class StopMatcher {
  readonly #stops: readonly string[];
  #held = "";
  /** The stop string that has come; of several that begin at one place, the first in the list. */
  found: string | undefined;
  /** How much text was let through, in UTF-16 units. */
  passed = 0;
  /** Whether a stop string has come; nothing is let through after it. */
  matched = false;

  constructor(stops: readonly string[]) {
    this.#stops = stops.filter((stop) => stop !== "");
  }

  /** Takes text; returns what is certain to stand before any stop string. */
  push(text: string): string {
    if (this.matched) return "";
    if (this.#stops.length === 0) return text;
    const all = this.#held + text;
    let first = -1;
    for (const stop of this.#stops) {
      const at = all.indexOf(stop);
      if (at < 0 || (first >= 0 && at >= first)) continue;
      first = at;
      this.found = stop;
    }
    if (first >= 0) {
      this.matched = true;
      this.#held = "";
      return this.#pass(all, first);
    }
    const keep = Math.max(...this.#stops.map((stop) => overlap(all, stop)));
    this.#held = all.slice(all.length - keep);
    return this.#pass(all, all.length - keep);
  }

  /** What was held back and can no longer become a stop string. */
  flush(): string {
    const held = this.#held;
    this.#held = "";
    return this.#pass(held, held.length);
  }

  #pass(text: string, n: number): string {
    this.passed += n;
    return text.slice(0, n);
  }
}

// Length of the longest end of `text` that `stop` begins with, shorter than `stop` itself.
function overlap(text: string, stop: string): number {
  let n = Math.min(text.length, stop.length - 1);
  while (n > 0 && !text.endsWith(stop.slice(0, n))) n--;
  return n;
}
