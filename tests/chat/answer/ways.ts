// An answer read in every way in which it may come: whole, in two pieces, by characters, by UTF-16 units.
import assert from "node:assert/strict";
import { type AnswerOptions, AnswerParser } from "../../../src/chat/answer/answer_parser.ts";
import type { AnswerDelta } from "../../../src/chat/answer/output.ts";
import { collectAnswer, type ParsedAnswer, parseAnswer } from "../../../src/chat/answer/parse_answer.ts";

/** How to read, and whether the answer was cut off. */
export type Options = AnswerOptions & { readonly partial?: boolean };

/** The deltas of an answer that comes in pieces, and what they say. */
export function readPieces(pieces: readonly string[], options: Options) {
  const parser = new AnswerParser({ idSeed: "test", ...options });
  const deltas: AnswerDelta[] = pieces.flatMap((piece) => parser.push(piece));
  deltas.push(...parser.end({ cut: options.partial === true }));
  return { deltas, answer: collectAnswer(deltas, options.partial ? [] : parser.brokenCalls), parser };
}

/** Reads an answer in every way, checks that all give the same and that the deltas are in order, and returns it. */
export function readEveryWay(text: string, options: Options): ParsedAnswer {
  const whole = parseAnswer(text, { idSeed: "test", ...options });
  const units = Array.from({ length: text.length }, (_, i) => text[i] as string);
  const ways = [units, [...text], ...units.map((_, i) => [text.slice(0, i), text.slice(i)])];
  for (const pieces of ways) {
    const { answer } = readPieces(pieces, options);
    // As text: this is asked a hundred thousand times.
    if (JSON.stringify(answer) !== JSON.stringify(whole))
      assert.deepEqual(answer, whole, JSON.stringify(pieces));
  }
  checkDeltas(readPieces(units, options).deltas);
  checkDeltas(readPieces([...text], options).deltas);
  for (const { function: call } of options.partial ? [] : whole.toolCalls) {
    assert.equal(typeof JSON.parse(call.arguments as string), "object");
  }
  return whole;
}

/** Calls are numbered without gaps, begin with their id and name, and no delta is empty or ends in half a character. */
function checkDeltas(deltas: readonly AnswerDelta[]): void {
  const ids: string[] = [];
  for (const delta of deltas) {
    if (delta.kind === "call") {
      assert.equal(delta.index, ids.length);
      assert.ok(delta.id !== "" && delta.name !== "");
      ids.push(delta.id);
      continue;
    }
    if ("index" in delta) assert.equal(delta.index, ids.length - 1);
    assert.notEqual(delta.text, "");
    assert.ok(delta.text.isWellFormed(), JSON.stringify(delta.text));
  }
  assert.equal(new Set(ids).size, ids.length);
}
