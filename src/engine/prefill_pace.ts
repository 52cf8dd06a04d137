// How many tokens of prompts a step takes beside those that decode, so that these wait little longer than alone.
//
// A step with prompts may take several times as long as one without: kernels of several tokens unpack weights first. So such steps
// alternate with others, by a debt: a step that takes longer than is allowed makes one, and steps without prompts pay it back.
// Steps are timed while they run, because all this depends on model and machine. It changes times and never bits.
import { ACT_TOKENS } from "../../assembly/layout/blocks.ts";
import { MAX_SEGMENTS } from "./step_area.ts";

/** How much longer than without prompts steps may take, on average. */
const LONGER = 2.2;
/** Milliseconds that a step may always take: nobody reads faster than 50 tokens a second. */
const UNNOTICED_MS = 20;
const FEWEST_TOKENS = 2 * ACT_TOKENS;
const MOST_TOKENS = 48;
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
  // Milliseconds by which steps with prompts took too long, less what others have paid back.
  #debt = 0;

  /** Tokens of prompts for a step in which `decoding` sequences decode; 0 if it shall have none. */
  chunk(decoding: number): number {
    if (this.#debt > 0) return 0;
    const alone = this.#alone(decoding);
    const token = this.#both || this.#prompt;
    if (alone === 0 || token === 0) return FIRST_CHUNK;
    // Kernels take so many tokens at a time.
    const allowed = Math.floor(Math.min(allowedMs(alone) / token, MOST_TOKENS) / ACT_TOKENS) * ACT_TOKENS;
    const least = Math.ceil((decoding + 1) / ACT_TOKENS) * ACT_TOKENS;
    return Math.max(allowed, FEWEST_TOKENS, least) - decoding;
  }

  /** Takes note of a step that took `ms` milliseconds. */
  ran(decoding: number, tokens: number, ms: number): void {
    if (!(ms > 0)) return;
    const alone = this.#alone(decoding);
    if (decoding === 0) this.#prompt = mixed(this.#prompt, ms / tokens);
    else if (tokens > decoding) this.#both = mixed(this.#both, ms / tokens);
    else this.#decoding[decoding] = mixed(this.#decoding[decoding] as number, ms);
    this.#debt = decoding === 0 || alone === 0 ? 0 : Math.max(0, this.#debt + ms - allowedMs(alone));
  }

  // Of as many sequences, or of the next fewer that were measured, or more.
  #alone(decoding: number): number {
    const times = this.#decoding;
    for (let n = decoding; n > 0; n--) if (times[n] !== 0) return times[n] as number;
    return times.find((ms) => ms > 0) ?? 0;
  }
}

function allowedMs(alone: number): number {
  return Math.max(UNNOTICED_MS, LONGER * alone);
}

function mixed(before: number, now: number): number {
  return before === 0 ? now : before + NEW * (now - before);
}
