// Checks the ids of special tokens in a vocabulary.
import { FormatError, TokenizerError } from "../../util/errors.ts";
import type { VocabularyData } from "./vocabulary_data.ts";

/** The error of a vocabulary that contradicts itself. */
export function invalid(problem: string): FormatError {
  return new FormatError(`Cannot build tokenizer: ${problem}`);
}

/**
 * Checks the special ids of a vocabulary of `size` tokens.
 * @throws FormatError for an id outside the vocabulary, and if BOS or EOS is to be added but missing
 */
export function checkSpecialIds(data: Omit<VocabularyData, "types">, size: number): void {
  const { bosId, eosIds, unkId, addBos, addEos } = data;
  const check = (name: string, id: number | undefined) => {
    if (id !== undefined && !(Number.isInteger(id) && id >= 0 && id < size)) {
      throw invalid(`Expected the ${name} id to be from 0 to ${size - 1}, got ${id}`);
    }
  };
  check("BOS", bosId);
  check("unknown", unkId);
  for (const id of eosIds) check("EOS", id);
  if (addBos && bosId === undefined) throw invalid("Expected a BOS id, as BOS is to be added, got none");
  if (addEos && eosIds.length === 0) throw invalid("Expected an EOS id, as EOS is to be added, got none");
}

/** An id that is to be added. @throws TokenizerError if the vocabulary has none */
export function present(id: number | undefined, name: string): number {
  if (id === undefined) throw new TokenizerError(`Cannot add ${name}: The vocabulary has no ${name} token`);
  return id;
}
