// Packed modules: what is unpacked is what was packed.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { textBytes } from "../../src/kernels/module_text.ts";
import { moduleBytes } from "../../src/kernels/packed_modules.ts";
import { wasm } from "../../src/kernels/unpacker.gen.ts";
import { variantBytes } from "../../src/kernels/variant.ts";

// The other half, which the build uses, is no TypeScript.
const { pack } = await import(new URL("../../scripts/pack.mjs", import.meta.url).href);

const memory = new WebAssembly.Memory({ initial: 1 });
const unpacker = new WebAssembly.Instance(new WebAssembly.Module(textBytes(wasm)), { env: { memory } })
  .exports;

/** Deterministic bytes below `range`. */
function someBytes(n: number, range: number, seed: number): Buffer {
  let state = seed;
  return Buffer.from(
    Array.from({ length: n }, () => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return (state >>> 8) % range;
    }),
  );
}

/** Packs modules and unpacks each of them. Returns the characters that it took. */
function checkRoundTrip(...modules: readonly Uint8Array[]): number {
  const { text, sizes } = pack(modules, unpacker);
  assert.match(text, /^[0-[\]-p]*$/);
  modules.forEach((module, i) => {
    assert.deepEqual(Buffer.from(moduleBytes(text, sizes, i)), Buffer.from(module));
  });
  return text.length;
}

describe("moduleBytes()", () => {
  it("unpacks bytes of any number and range, which need not be modules", () => {
    for (const n of [0, 1, 2, 3, 7, 100, 3000]) {
      for (const range of [1, 2, 16, 256]) checkRoundTrip(someBytes(n, range, n + range));
    }
    checkRoundTrip(Buffer.alloc(700, 255), Buffer.alloc(0), Buffer.alloc(700, 255));
  });

  it("unpacks runs of any length and distance, as far back as one of the four before too", () => {
    const base = someBytes(3000, 256, 3);
    const parts = Array.from({ length: 60 }, (_, i) =>
      base.subarray((i * 997) % 2000, ((i * 997) % 2000) + i * i),
    );
    const changed = Array.from({ length: 40 }, (_, i) => {
      const copy = Buffer.from(base.subarray(0, 50));
      copy[(i * 7) % 50] = i;
      return copy;
    });
    checkRoundTrip(Buffer.concat([base, ...parts, ...changed]));
  });

  it("unpacks modules that the compiler wrote, one behind the other, and edited ones", () => {
    const module = Buffer.from(variantBytes("simd")).subarray(0, 9000);
    const edited = Buffer.concat([module.subarray(0, 4000), Buffer.from("edit"), module.subarray(4010)]);
    const alone = checkRoundTrip(module);
    assert.ok(alone < 0.6 * module.length, `${alone} characters`);
    const both = checkRoundTrip(module, edited);
    assert.ok(both < alone + 60, `${both} characters, one alone ${alone}`);
  });
});
