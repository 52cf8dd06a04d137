import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Class, classOf } from "../../src/tokenizer/unicode.ts";

/** Each class as a regular expression, in the order of asking. */
const members: readonly (readonly [number, RegExp])[] = [
  [Class.space, /^ $/],
  [Class.newline, /^[\r\n]$/],
  [Class.whitespace, /^\p{White_Space}$/u],
  [Class.asciiUpper, /^[A-Z]$/],
  [Class.asciiLower, /^[a-z]$/],
  [Class.upper, /^\p{Lu}$/u],
  [Class.lower, /^\p{Ll}$/u],
  [Class.title, /^\p{Lt}$/u],
  [Class.uncased, /^[\p{Lm}\p{Lo}]$/u],
  [Class.mark, /^\p{M}$/u],
  [Class.number, /^\p{N}$/u],
  [Class.punctuation, /^\p{P}$/u],
  [Class.symbol, /^\p{S}$/u],
  [Class.other, /^[\s\S]$/u],
];

function expectedClass(character: number): number {
  const text = String.fromCodePoint(character);
  return members.find(([, member]) => member.test(text))?.[0] as number;
}

describe("classOf()", () => {
  it("classOf() is what regular expressions say, of every code point that the tables know", () => {
    let unassigned = 0;
    for (let character = 0; character < 0x110000; character++) {
      if (character >= 0xd800 && character < 0xe000) continue;
      const found = classOf(character);
      const expected = expectedClass(character);
      // A runtime may know characters of a later version of Unicode, which also moved U+0295.
      if (found === Class.other && expected !== Class.other) unassigned++;
      else if (character !== 0x295) assert.equal(found, expected, `U+${character.toString(16)}`);
    }
    assert.ok(unassigned < 10_000, `${unassigned} characters are new`);
  });

  it("classOf() takes lone surrogates for U+FFFD", () => {
    for (const surrogate of [0xd800, 0xdbff, 0xdc00, 0xdfff]) assert.equal(classOf(surrogate), Class.symbol);
    assert.equal(classOf(0xfffd), Class.symbol);
  });

  it("classOf() does not depend on the runtime's version of Unicode", () => {
    // A letter of Unicode 16, and one of Unicode 17.
    assert.equal(classOf(0x1c89), Class.upper);
    assert.equal(classOf(0x11db0), Class.other);
    assert.equal(classOf(0x10ffff), Class.other);
    assert.equal(classOf(0x10fffe), Class.other);
  });
});
