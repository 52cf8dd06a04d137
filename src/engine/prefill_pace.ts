// How many tokens of prompts a step takes beside those that decode: so many that these wait little longer than alone.
//
// A step of a few tokens more costs little if it is bound by reading weights, and as many times more if it is bound by arithmetic.
// Which it is depends on model and machine, so steps are timed while they run. What a step has changes times and never bits.
import { MAX_SEGMENTS } from "./step_area.ts";

// How much longer than a step without prompts a step with them may take.
const LONGER = 2;
const FEWEST = 4;
const MOST = 48;
/** Until something was measured, and in runtimes whose clock stands still. */
export const FIRST_CHUNK = 32;
// The weight of a new time.
const NEW = 0.2;

/** Times of steps, and what follows for prompts. */
export class PrefillPace {
  // Milliseconds of steps in which so many sequences decode, and nothing else.
  readonly #decoding: number[] = new Array(MAX_SEGMENTS + 1).fill(0);
  // Milliseconds of a token, in steps that have prompts alone and in those of both.
  #prompt = 0;
  #both = 0;

  /** Tokens of prompts for a step in which `decoding` sequences decode. */
  chunk(decoding: number): number {
    const alone = this.#alone(decoding);
    const token = this.#both || this.#prompt;
    if (alone === 0 || token === 0) return FIRST_CHUNK;
    return Math.min(Math.max(Math.floor((LONGER * alone) / token) - decoding, FEWEST), MOST);
  }

  /** Takes note of a step that took `ms` milliseconds. */
  ran(decoding: number, tokens: number, ms: number): void {
    if (!(ms > 0)) return;
    if (tokens === decoding) this.#decoding[decoding] = mixed(this.#decoding[decoding] as number, ms);
    else if (decoding === 0) this.#prompt = mixed(this.#prompt, ms / tokens);
    else this.#both = mixed(this.#both, ms / tokens);
  }

  // Of as many sequences, or of the next fewer that were measured, or more.
  #alone(decoding: number): number {
    const times = this.#decoding;
    for (let n = decoding; n > 0; n--) if (times[n] !== 0) return times[n] as number;
    return times.find((ms) => ms > 0) ?? 0;
  }
}

function mixed(before: number, now: number): number {
  return before === 0 ? now : before + NEW * (now - before);
}
