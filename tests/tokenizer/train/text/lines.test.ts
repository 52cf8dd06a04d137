// Splitting corpora into lines, cut anywhere.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Corpus } from "../../../../src/tokenizer/train/options.ts";
import {
  BROKEN,
  LineSplitter,
  textParts,
  utf8Length,
  withoutBroken,
} from "../../../../src/tokenizer/train/text/lines.ts";

async function partsOf(corpus: Corpus): Promise<string[]> {
  const parts: string[] = [];
  for await (const part of textParts(corpus)) parts.push(part);
  return parts;
}

function linesOf(parts: string[], maxUnits = 1000): string[] {
  const splitter = new LineSplitter(maxUnits);
  return [...parts.flatMap((part) => [...splitter.push(part)]), ...splitter.flush()];
}

describe("textParts()", () => {
  it("takes strings and bytes, cut anywhere", async () => {
    const text = "a ü€😀 \ufeffz\n";
    const bytes = new TextEncoder().encode(text);
    assert.equal((await partsOf([text])).join(""), text);
    assert.equal((await partsOf(Array.from(bytes, (byte) => Uint8Array.of(byte)))).join(""), text);
    assert.equal((await partsOf(text.split(""))).join(""), text);
    assert.equal((await partsOf([bytes.slice(0, 5), bytes.slice(5)])).join(""), text);
    assert.deepEqual(await partsOf([]), []);
    assert.deepEqual(await partsOf(["", new Uint8Array(0)]), []);
  });

  it("takes what comes asynchronously", async () => {
    async function* corpus() {
      yield "one ";
      yield new TextEncoder().encode("two");
    }
    assert.equal((await partsOf(corpus())).join(""), "one two");
  });

  it("replaces lone surrogates", async () => {
    assert.equal((await partsOf(["a\ud800", "b\udc00\ud83d"])).join(""), "a\ufffdb\ufffd\ufffd");
    assert.equal((await partsOf(["a\ud83d", Uint8Array.of(0x62)])).join(""), "a\ufffdb");
  });

  it("marks every byte that is no part of a character, wherever parts end", async () => {
    // What is between spaces: a character, or broken bytes.
    const bytes = [
      ...[0x61, 0x20, 0xff, 0x20, 0xe2, 0x82, 0x20, 0xe2, 0x82, 0xac, 0x20, 0xc0, 0x80, 0x20],
      ...[0xed, 0xa0, 0x80, 0x20, 0xf0, 0x9f, 0x98, 0x80, 0x20, 0xf4, 0x90, 0x80, 0x80, 0x20],
      ...[
        0xe0, 0x80, 0xaf, 0x20, 0xef, 0xbf, 0xbd, 0x20, 0xf8, 0x88, 0x80, 0x80, 0x80, 0x20, 0xf0, 0x9f, 0x98,
      ],
    ];
    const lengths = [1, 2, "€", 2, 3, "😀", 4, 3, "\ufffd", 5, 3];
    const broken = lengths.map((n) => (typeof n === "number" ? BROKEN.repeat(n) : n));
    const expected = ["a", ...broken].join(" ");
    assert.equal((await partsOf([Uint8Array.from(bytes)])).join(""), expected);
    assert.equal((await partsOf(bytes.map((byte) => Uint8Array.of(byte)))).join(""), expected);
    for (let cut = 0; cut < bytes.length; cut++) {
      const parts = [Uint8Array.from(bytes.slice(0, cut)), Uint8Array.from(bytes.slice(cut))];
      assert.equal((await partsOf(parts)).join(""), expected, `${cut}`);
    }
    assert.equal(utf8Length(expected), bytes.length);
    assert.equal(withoutBroken(`x${BROKEN}`), "x\ufffd");
    assert.equal((await partsOf([Uint8Array.of(0xe2, 0x82), "x"])).join(""), `${BROKEN}${BROKEN}x`);
  });
});

describe("LineSplitter", () => {
  it("cuts at line feeds alone, wherever parts end", () => {
    const text = "one\r\ntwo\n\nthree\u2028x\rfour";
    const expected = ["one\r", "two", "", "three\u2028x\rfour"];
    assert.deepEqual(linesOf([text]), expected);
    assert.deepEqual(linesOf(text.split("")), expected);
    assert.deepEqual(linesOf([`${text}\n`]), expected);
    assert.deepEqual(linesOf([]), []);
    assert.deepEqual(linesOf(["\n"]), [""]);
  });

  it("keeps no more of a long line than tells that it is one", () => {
    const parts = Array.from({ length: 1000 }, () => "x".repeat(1000));
    assert.deepEqual(linesOf(["ab\n", ...parts, "\ncd"], 10), ["ab", "x".repeat(11), "cd"]);
    assert.deepEqual(linesOf(["0123456789\n"], 10), ["0123456789"]);
  });
});

describe("utf8Length()", () => {
  it("counts bytes", () => {
    for (const text of ["", "a", "é\u07ff", "\u0800€", "😀a", "\u{10ffff}"]) {
      assert.equal(utf8Length(text), new TextEncoder().encode(text).length, text);
    }
  });
});
