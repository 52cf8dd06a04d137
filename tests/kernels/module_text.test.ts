// Modules as text: what goes in comes out.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { textBytes } from "../../src/kernels/module_text.ts";

// The other half, which the build uses, is no TypeScript.
const { moduleText } = await import(new URL("../../scripts/module_text.mjs", import.meta.url).href);

describe("textBytes()", () => {
  it("reads every pair of bytes that moduleText() writes", () => {
    const bytes = new Uint8Array(2 * 65536);
    for (let i = 0; i < 65536; i++) bytes.set([i >> 8, i & 255], 2 * i);
    assert.deepEqual(textBytes(moduleText(bytes)), bytes);
    assert.deepEqual(textBytes(moduleText(new Uint8Array(0))), new Uint8Array(0));
    assert.deepEqual(textBytes(moduleText(new Uint8Array([0]))), new Uint8Array([0]));
  });

  it("needs no escape in a string: printable ASCII without quote and backslash", () => {
    const text = moduleText(Uint8Array.from({ length: 256 }, (_, i) => i));
    assert.match(text, /^[#-[\]-~]{423}$/);
  });
});
