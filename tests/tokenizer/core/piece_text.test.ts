// UTF-8 of pieces against the runtime's decoder.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { utf8Text } from "../../../src/tokenizer/core/piece_text.ts";

function decoded(bytes: Uint8Array<ArrayBuffer>): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

describe("utf8Text()", () => {
  it("utf8Text() decodes as the platform does, what is short and what is long", () => {
    const edges = fc.constantFrom(
      0,
      0x41,
      0x7f,
      0x80,
      0x8f,
      0x90,
      0x9f,
      0xa0,
      0xbf,
      0xc0,
      0xc1,
      0xc2,
      0xdf,
      0xe0,
    );
    const more = fc.constantFrom(0xe1, 0xed, 0xee, 0xef, 0xbb, 0xf0, 0xf1, 0xf4, 0xf5, 0xff);
    const bytes = fc.oneof(
      fc.array(fc.oneof(edges, more), { maxLength: 6 }).map((all) => Uint8Array.from(all)),
      fc.string({ unit: "binary", maxLength: 20 }).map((text) => new TextEncoder().encode(text)),
    );
    fc.assert(
      fc.property(bytes, (each) => {
        const inside = Uint8Array.from([0x80, ...each, 0x80]);
        assert.equal(utf8Text(inside, 1, 1 + each.length), decoded(Uint8Array.from(each)));
      }),
      { numRuns: 3000 },
    );
    assert.equal(utf8Text(new Uint8Array(0), 0, 0), "");
  });
});
