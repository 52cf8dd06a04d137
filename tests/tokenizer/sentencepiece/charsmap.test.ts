// Charsmaps: rules, offsets and hostile files.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  Charsmap,
  MAX_CHARSMAP_BYTES,
  MAX_RULE_BYTES,
} from "../../../src/tokenizer/sentencepiece/charsmap.ts";
import { FormatError } from "../../../src/util/errors.ts";
import {
  charsmapBytes,
  leafUnit,
  type Rule,
  trieUnit,
  writeCharsmap,
} from "../../support/charsmap_writer.ts";
import { assertRefused, assertTyped } from "../../support/vocabularies.ts";

function refused(bytes: Uint8Array, message: RegExp): void {
  assertRefused(() => new Charsmap(bytes, "x"), FormatError, message);
}

function normalized(rules: readonly Rule[], text: string): string {
  return new Charsmap(writeCharsmap(rules), "x").normalize(text).text;
}

/** The longest rule at each position, by looking at all. */
function normalizeSlowly(rules: readonly Rule[], text: string): string {
  let rest = text;
  let out = "";
  while (rest !== "") {
    const fitting = rules.filter(([from]) => rest.startsWith(from));
    const [from, to] = fitting.sort((a, b) => b[0].length - a[0].length)[0] ?? ["", ""];
    const taken = from || (String.fromCodePoint(rest.codePointAt(0) as number) as string);
    out += from === "" ? taken : to;
    rest = rest.slice(taken.length);
  }
  return out;
}

/** Units 0 to 511: the root leads to base 256, where a child "a" is at 256 ^ 0x61. */
function twoBlocks(change: (units: number[]) => void): number[] {
  const units = new Array<number>(512).fill(0x80000000);
  units[0] = trieUnit(0, false, 256);
  change(units);
  return units;
}
const childA = 256 ^ 0x61;

describe("Charsmap", () => {
  it("normalize() replaces the longest rule at each position", () => {
    const rules: Rule[] = [
      ["a", "1"],
      ["ab", "2"],
      ["abcd", "4"],
      ["é", "e"],
      ["工", ""],
      ["🦙", "llama"],
      ["llama", "🦙"],
      ["\ufffd", "?"],
    ];
    assert.equal(normalized(rules, ""), "");
    assert.equal(normalized(rules, "a"), "1");
    assert.equal(normalized(rules, "aababcabcd"), "122c4");
    assert.equal(normalized(rules, "xé工🦙llamb工"), "xellamall1mb");
    assert.equal(normalized(rules, "\ud83e🦙\udd99llama"), "?llama?🦙");
    assert.equal(normalized(rules, "\0a\0"), "\x001\0");
  });

  it("normalize() gives where every unit comes from", () => {
    const charsmap = new Charsmap(
      writeCharsmap([
        ["ab", "xyz"],
        ["c", ""],
        ["🦙", "工"],
      ]),
      "x",
    );
    const { text, origins } = charsmap.normalize("dabc🦙e");
    assert.equal(text, "dxyz工e");
    assert.deepEqual(origins, Int32Array.of(0, 1, 1, 1, 4, 6, 7));
    assert.deepEqual(charsmap.normalize("").origins, Int32Array.of(0));
  });

  it("normalize() equals looking at all rules", () => {
    const text = fc.string({ unit: fc.constantFrom("a", "b", "é", "工", "🦙", "\0"), maxLength: 30 });
    const from = fc.string({ unit: fc.constantFrom("a", "b", "é", "工", "🦙"), minLength: 1, maxLength: 4 });
    const to = fc.string({ unit: fc.constantFrom("a", " ", "é", "🦙"), maxLength: 3 });
    const rules = fc.uniqueArray(fc.tuple(from, to), {
      minLength: 1,
      maxLength: 8,
      selector: ([key]) => key,
    });
    fc.assert(
      fc.property(rules, text, (all, each) => {
        assert.equal(normalized(all, each), normalizeSlowly(all, each));
      }),
      { numRuns: 200 },
    );
  });

  it("match() passes over rules that end inside a character", () => {
    const units = twoBlocks((all) => {
      all[256 ^ 0xc3] = trieUnit(0xc3, true, 256 ^ 0xc3 ^ 511);
      all[511] = leafUnit(0);
    });
    assert.equal(new Charsmap(charsmapBytes(units, "x\0"), "x").normalize("éa").text, "éa");
  });

  it("new Charsmap() refuses charsmaps of 0 to 7 bytes", () => {
    for (let n = 0; n < 8; n++) refused(new Uint8Array(n), new RegExp(`Expected 8 to \\d+ bytes, got ${n}`));
    refused(Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0), /Expected a trie of 4 to 4 bytes in fours, got 1/);
  });

  it("new Charsmap() refuses one that is larger than any", () => {
    refused(new Uint8Array(MAX_CHARSMAP_BYTES + 1), /got 4194305/);
  });

  it("new Charsmap() refuses a trie that is longer than the bytes", () => {
    const bytes = writeCharsmap([["a", "b"]]);
    for (const size of [0, 2, bytes.length, 0x7fffffff, 0xfffffffc, 0xffffffff]) {
      const changed = bytes.slice();
      new DataView(changed.buffer).setUint32(0, size, true);
      refused(changed, /Expected a trie of 4 to \d+ bytes in fours, got/);
    }
  });

  it("new Charsmap() gives typed errors for one cut anywhere", () => {
    const bytes = writeCharsmap([["a", "b"]]);
    for (let n = 0; n < bytes.length; n++) assertTyped(() => new Charsmap(bytes.subarray(0, n), "x"));
    refused(
      bytes.subarray(0, bytes.length - 2),
      /Expected unit 353 of the trie to have a replacement, got offset 0/,
    );
  });

  it("new Charsmap() refuses a root or a unit that leads out of the array", () => {
    refused(
      charsmapBytes([trieUnit(0, false, 256)], "\0"),
      /Expected unit 0 of the trie to lead inside of it/,
    );
    refused(charsmapBytes([0xffffffff], "\0"), /Expected unit 0 of the trie to lead inside of it/);
    const far = twoBlocks((all) => {
      all[childA] = trieUnit(0x61, false, 2 ** 20);
    });
    refused(charsmapBytes(far, "\0"), /Expected unit 353 of the trie to lead inside of it/);
  });

  it("new Charsmap() refuses a trie that goes in circles", () => {
    const circle = twoBlocks((all) => {
      all[childA] = trieUnit(0x61, false, childA ^ 256);
    });
    refused(charsmapBytes(circle, "\0"), /Expected no circle in the trie, got one at unit 353/);
    refused(charsmapBytes([0], "\0"), /Expected no circle in the trie/);
  });

  it("new Charsmap() refuses replacements that are not there, cut characters and invalid UTF-8", () => {
    const withValue = (value: number) =>
      twoBlocks((all) => {
        all[childA] = trieUnit(0x61, true, childA ^ 511);
        all[511] = leafUnit(value);
      });
    assert.equal(new Charsmap(charsmapBytes(withValue(0), "é\0"), "x").normalize("a").text, "é");
    assert.equal(new Charsmap(charsmapBytes(withValue(2), "é\0"), "x").normalize("a").text, "");
    assert.equal(new Charsmap(charsmapBytes(withValue(1), "zé"), "x").normalize("a").text, "é");
    for (const value of [1, 3, 0x7fffffff]) {
      refused(
        charsmapBytes(withValue(value), "é\0"),
        /Expected unit 353 of the trie to have a replacement, got/,
      );
    }
    refused(charsmapBytes(withValue(0), Uint8Array.of(0xc3, 0)), /Expected replacements in UTF-8/);
    refused(
      charsmapBytes(withValue(0), Uint8Array.of(0xed, 0xa0, 0x80, 0)),
      /Expected replacements in UTF-8/,
    );
  });

  it("new Charsmap() refuses rules longer than any", () => {
    const longest = "a".repeat(MAX_RULE_BYTES);
    assert.equal(normalized([[longest, "b"]], longest), "b");
    refused(writeCharsmap([[`${longest}a`, "b"]]), /Expected rules of at most 128 bytes/);
  });

  it("new Charsmap() and normalize() give typed errors for bytes that are changed", () => {
    const bytes = writeCharsmap([
      ["a", "b"],
      ["ab", "c"],
    ]);
    const used = Array.from(bytes.keys()).filter((i) => bytes[i] !== 0);
    const change = fc.tuple(fc.oneof(fc.constantFrom(...used), fc.nat(bytes.length - 1)), fc.nat(255));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
        const changed = bytes.slice();
        for (const [at, value] of changes) changed[at] = value;
        assertTyped(() => new Charsmap(changed, "x").normalize("ab\0aéa🦙"));
      }),
      { numRuns: 500 },
    );
  });
});
