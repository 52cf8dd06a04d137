// What a template may take: steps, text, depth. Every template that a file brings is bounded by it.
import { UnsupportedError } from "../../util/errors.ts";

/** Longest template, in UTF-16 units. The longest known ones have 20 thousand. */
export const MAX_SOURCE = 256 << 10;
/** Longest list that `range` gives, as in Jinja2's sandbox. */
export const MAX_RANGE = 100_000;
/** Longest text that a template may make, in UTF-16 units. */
const MAX_TEXT = 4 << 20;
/** Steps of a template, and more of them for each text, list or key of its input: a message has five or more. */
const STEPS = 400_000;
const STEPS_PER_VALUE = 256;
/** Units of text that a template may make or look through, and more of them for each unit of its input. */
const UNITS = 16 << 20;
const UNITS_PER_UNIT = 64;
/** How many units count for one that a slow operation takes. */
const SLOWNESS = 32;
/** Expressions, blocks and calls inside one another. */
const MAX_DEPTH = 800;
/** Lists and objects inside one another, in what a template is given. */
const MAX_NESTING = 100;

/** What went wrong inside a template while it was rendered; chat_template.ts makes a UsageError of it. */
export class TemplateFault extends Error {}

/** Counts what one rendering takes. */
export class Meter {
  #steps = STEPS;
  #units = UNITS;
  #depth = 0;
  #input = 0;

  /** Begins another rendering of the same input: what is left must do for it too. */
  restart(): void {
    this.#depth = 0;
    this.#input = 0;
  }

  /** Takes note of `n` units of input, which allow more work. */
  input(n: number, nesting: number): void {
    if (nesting > MAX_NESTING) {
      throw new TemplateFault(
        `Expected messages and variables of at most ${MAX_NESTING} lists and objects inside one another`,
      );
    }
    this.#input += n;
    if (this.#input > MAX_TEXT) {
      throw new TemplateFault(`Expected messages and variables of at most ${MAX_TEXT} characters in all`);
    }
    this.#steps += STEPS_PER_VALUE + n;
    this.#units += UNITS_PER_UNIT * n;
  }

  /** @throws UnsupportedError above the limit */
  step(n = 1): void {
    this.#steps -= n;
    if (this.#steps < 0) throw exceeded("so many steps");
  }

  /** Work that makes or looks through `n` units. @throws UnsupportedError above the limit */
  units(n: number): void {
    this.length(n);
    this.#units -= n;
    if (this.#units < 0) throw exceeded("so much work on texts");
  }

  /** Work that takes long for each of `n` units, or memory: what calls a function for each character. */
  slowUnits(n: number): void {
    this.length(n);
    this.#units -= SLOWNESS * n;
    this.units(0);
  }

  /** @throws UnsupportedError for a text of more units than any may have */
  length(n: number): void {
    if (n > MAX_TEXT) throw exceeded("so long a text");
  }

  /** @throws UnsupportedError above the limit */
  enter(): void {
    if (++this.#depth > MAX_DEPTH) throw exceeded("so deep a nesting");
  }

  leave(): void {
    this.#depth--;
  }
}

/** The error of a template that takes more than it may. */
export function exceeded(what: string): UnsupportedError {
  return new UnsupportedError(
    `Cannot render the chat template: Expected one that ends soon, got ${what}; use another one (chatTemplate, --chat-template FILE)`,
  );
}
