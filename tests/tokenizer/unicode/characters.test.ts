// Classes of characters: hashes over all code points.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Class, classOf } from "../../../src/tokenizer/unicode/characters.ts";
import { runtimeClass } from "../../support/unicode.ts";

describe("classOf()", () => {
  it("classOf() is what regular expressions say, of every code point that the tables know", () => {
    let unassigned = 0;
    for (let character = 0; character < 0x110000; character++) {
      if (character >= 0xd800 && character < 0xe000) continue;
      const found = classOf(character);
      const expected = runtimeClass(character);
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
