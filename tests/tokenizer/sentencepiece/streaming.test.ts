// Streaming decoding against decoding at once.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Tokenizer } from "../../../src/tokenizer/core/tokenizer.ts";
import { createTokenizer } from "../../../src/tokenizer/registry.ts";
import { type Entry, FIRST_ID, llamaData, smallEntries } from "../../support/vocabularies.ts";

const tokenizer = createTokenizer(llamaData(smallEntries));
const byte = (value: number) => 3 + value;

/** All pushes, then the flush. */
function pushes(ids: readonly number[], options?: Parameters<Tokenizer["stream"]>[0]): string[] {
  const stream = tokenizer.stream(options);
  return [...ids.map((id) => stream.push(id)), stream.flush()];
}

/** The bytes of all ids, joined and decoded at once. */
function decodeAtOnce(ids: readonly number[], special: boolean): string {
  const bytes = ids.flatMap((id) => [...tokenizer.bytes(id, { special })]);
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(bytes));
}

/** Ids that often make, and break, characters of several bytes. */
const anyIds = fc.array(
  fc.oneof(
    fc.nat(tokenizer.vocabSize - 1),
    fc.constantFrom(0xf0, 0x9f, 0xa6, 0x99, 0xe3, 0x81, 0xc3, 0xa9, 0xe0, 0xed, 0xa0, 0xf4, 0x90).map(byte),
    fc.constantFrom(0xef, 0xbb, 0xbf, 0x80, 0xc0, 0xc1, 0xf5, 0xff, 0x41, 0).map(byte),
  ),
  { maxLength: 30 },
);

describe("TokenStream", () => {
  it("push() gives text as soon as it is complete", () => {
    const hello = FIRST_ID + smallEntries.findIndex(([piece]) => piece === "▁hello");
    assert.deepEqual(pushes([]), [""]);
    assert.deepEqual(pushes([hello]), ["hello", ""]);
    assert.deepEqual(pushes([hello, hello, hello]), ["hello", " hello", " hello", ""]);
    assert.deepEqual(pushes([0xf0, 0x9f, 0xa6, 0x99, 0x41].map(byte)), ["", "", "", "🦙", "A", ""]);
    assert.deepEqual(pushes([0xc3, 0xa9, 0xe3, 0x81, 0x82, 0xc3, 0xa9].map(byte)), [
      ..."|é|||あ||é|".split("|"),
    ]);
  });

  it("push() gives U+FFFD when a character turns out to be broken, flush() when it stays open", () => {
    assert.deepEqual(pushes([0xf0, 0x9f, 0x41].map(byte)), ["", "", "\ufffdA", ""]);
    assert.deepEqual(pushes([0xf0, 0x9f].map(byte)), ["", "", "\ufffd"]);
    assert.deepEqual(pushes([0xf0, 0xf0, FIRST_ID].map((value) => (value < 256 ? byte(value) : value))), [
      "",
      "\ufffd",
      "\ufffd ",
      "",
    ]);
    assert.deepEqual(pushes([byte(0x80)]), ["\ufffd", ""]);
  });

  it("push() keeps the first space after a text", () => {
    const hello = FIRST_ID + smallEntries.findIndex(([piece]) => piece === "▁hello");
    assert.deepEqual(pushes([hello, hello], { afterText: true }), [" hello", " hello", ""]);
    assert.deepEqual(pushes([1, hello], { special: true }), ["<s>", "hello", ""]);
    assert.deepEqual(pushes([1, hello]), ["", "hello", ""]);
  });

  it("push() leaves a character open over a control token", () => {
    assert.deepEqual(pushes([byte(0xc3), 1, byte(0xa9)]), ["", "", "é", ""]);
    assert.deepEqual(pushes([byte(0xc3), 1, byte(0xa9)], { special: true }), ["", "\ufffd<s>", "\ufffd", ""]);
  });

  it("push() and flush(), joined, are the bytes of all ids, decoded at once", () => {
    fc.assert(
      fc.property(anyIds, fc.boolean(), (ids, special) => {
        const whole = decodeAtOnce(ids, special);
        assert.equal(pushes(ids, { special, afterText: true }).join(""), whole);
      }),
      { numRuns: 1000 },
    );
  });

  it("push() and flush(), joined, are what decode() gives", () => {
    fc.assert(
      fc.property(anyIds, fc.boolean(), (ids, special) => {
        const texts = pushes(ids, { special });
        assert.equal(texts.join(""), tokenizer.decode(ids, { special }));
        for (const text of texts) assert.ok(text.isWellFormed());
      }),
      { numRuns: 500 },
    );
  });

  it("push() takes off every space at the beginning where extra ones are removed", () => {
    const entries: Entry[] = [["▁"], ["▁▁"], ["▁a"]];
    const removing = createTokenizer(
      llamaData(entries, { removeExtraWhitespaces: true, addDummyPrefix: false }),
    );
    const [space, two, a] = [FIRST_ID, FIRST_ID + 1, FIRST_ID + 2];
    assert.equal(removing.decode([space, 1, space, space, a, space, a]), "a  a");
    assert.equal(removing.decode([two, a]), "  a");
    assert.equal(removing.stream({ afterText: true }).push(space), " ");
  });
});
