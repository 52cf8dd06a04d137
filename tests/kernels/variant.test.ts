// The builds of the kernels: what they accept and how one is chosen.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { variantBytes, variants, variantWorks } from "../../src/kernels/variant.ts";

const contains = (bytes: Uint8Array, sequence: readonly number[]) =>
  bytes.some((_, i) => sequence.every((byte, j) => bytes[i + j] === byte));

describe("variantBytes()", () => {
  it("gives a module of at most 116 KiB for each variant, as ADR 8 allows, all with the same exports", () => {
    const names = (bytes: Uint8Array<ArrayBuffer>) =>
      WebAssembly.Module.exports(new WebAssembly.Module(bytes)).map(({ name }) => name);
    const expected = names(variantBytes("simd"));
    assert.ok(expected.includes("run_step"));
    for (const variant of variants) {
      if (!variantWorks(variant)) continue;
      const bytes = variantBytes(variant);
      assert.ok(bytes.length > 1000 && bytes.length <= 116 * 1024, `${variant}: ${bytes.length} bytes`);
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

describe("pickVariant()", () => {
  /** What a process of its own prints, in which WebAssembly is changed first: what was compiled is kept. */
  function picked(change: string): string {
    const url = new URL("../../src/kernels/variant.ts", import.meta.url);
    const code = `${change}
const { pickVariant, compileVariant } = await import(${JSON.stringify(url.pathname)});
for (const shared of [false, true]) {
  try {
    console.log(pickVariant(shared));
  } catch (error) {
    console.log(error.name, error.message);
  }
}`;
    const bun = fileURLToPath(new URL("../../node_modules/.bin/bun", import.meta.url));
    return execFileSync(bun, ["-e", code], { encoding: "utf8" });
  }
  // Modules that hold these bytes are validated and not compiled.
  const refusing = (bytes: string) => `const { Module } = WebAssembly;
WebAssembly.Module = new Proxy(Module, {
  construct(target, [bytes]) {
    if (Buffer.from(bytes).includes(Buffer.from(${bytes}))) throw new WebAssembly.CompileError("refused");
    return new target(bytes);
  },
});`;

  it("passes over what the runtime validates and does not compile", () => {
    assert.equal(picked(""), "relaxed\nrelaxed-shared\n");
    assert.equal(picked(refusing("[0xfd, 0x92, 0x02]")), "simd\nsimd-shared\n");
    assert.equal(picked(refusing("[0xfe, 0x00]")), "relaxed\nrelaxed\n");
  });

  it("says why a runtime compiles nothing", () => {
    const lines = (text: string) => text.trim().split("\n");
    for (const line of lines(picked(refusing("[]")))) {
      assert.match(
        line,
        /^EngineError Cannot compile the kernels: .*refused.*Content-Security-Policy.*'wasm-unsafe-eval'/,
      );
    }
    for (const line of lines(picked("delete globalThis.WebAssembly;"))) {
      assert.match(
        line,
        /^EngineError Cannot compile the kernels: Expected a runtime with WebAssembly.*--jitless/,
      );
    }
    for (const line of lines(picked("WebAssembly.validate = () => false;"))) {
      assert.match(line, /^EngineError Cannot compile the kernels: Expected WebAssembly SIMD/);
    }
    assert.equal(picked("delete globalThis.SharedArrayBuffer;"), "relaxed\nrelaxed\n");
  });
});
