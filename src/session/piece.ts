// A generated token as generators yield it: the fields of `Piece`, and its text if a string is wanted.
import type { TokenLogprob } from "../sample/chain.ts";
import type { Piece } from "./options.ts";

/** A {@link Piece}. Its fields are its own and enumerable; `toString` is the prototype's, so no token pays for it. */
export class GeneratedPiece implements Piece {
  readonly id: number;
  readonly text: string;
  readonly logprob: number;
  readonly alternatives: readonly TokenLogprob[];

  constructor(id: number, text: string, logprob: number, alternatives: readonly TokenLogprob[]) {
    this.id = id;
    this.text = text;
    this.logprob = logprob;
    this.alternatives = alternatives;
  }

  toString(): string {
    return this.text;
  }
}
