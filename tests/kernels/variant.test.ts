import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { variantBytes, variants, variantWorks } from "../../src/kernels/variant.ts";

const contains = (bytes: Uint8Array, sequence: readonly number[]) =>
  bytes.some((_, i) => sequence.every((byte, j) => bytes[i + j] === byte));

describe("variantBytes()", () => {
  it("gives a module of at most 64 KiB for each variant, all with the same exports", () => {
    const names = (bytes: Uint8Array<ArrayBuffer>) =>
      WebAssembly.Module.exports(new WebAssembly.Module(bytes)).map(({ name }) => name);
    const expected = names(variantBytes("simd"));
    assert.ok(expected.includes("run_step"));
    for (const variant of variants) {
      if (!variantWorks(variant)) continue;
      const bytes = variantBytes(variant);
      assert.ok(bytes.length > 1000 && bytes.length <= 65536, `${variant}: ${bytes.length} bytes`);
      assert.deepEqual(names(bytes), expected, variant);
    }
  });

  it("gives relaxed instructions and shared memory to the variants named for them only", () => {
    const notify = [0xfe, 0x00];
    // i16x8.relaxed_dot_i8x16_i7x16_s
    const relaxedDot = [0xfd, 0x92, 0x02];
    for (const variant of variants) {
      const bytes = variantBytes(variant);
      assert.equal(contains(bytes, relaxedDot), variant.startsWith("relaxed"), variant);
      assert.equal(contains(bytes, notify), variant.endsWith("-shared"), variant);
    }
  });
});

describe("provideModules()", () => {
  it("makes what it gives all there is", () => {
    // In a process of its own: what it does cannot be undone.
    const url = new URL("../../src/kernels/variant.ts", import.meta.url);
    const code = `import * as kernels from ${JSON.stringify(url.pathname)};
const simd = kernels.compileVariant("simd");
kernels.provideModules({ simd });
console.log(
  kernels.compileVariant("simd") === simd,
  kernels.variants.filter(kernels.variantWorks),
  kernels.pickVariant(false),
);`;
    const bun = fileURLToPath(new URL("../../node_modules/.bin/bun", import.meta.url));
    assert.equal(execFileSync(bun, ["-e", code], { encoding: "utf8" }), 'true [ "simd" ] simd\n');
  });
});
