// The decoders of tensor types: values of blocks, bit for bit.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { describe, it } from "node:test";
import { fileTypes } from "../../src/quant/file_types.ts";
import { itShared, sharedBytes, sharedJson, sharedPath } from "../support/shared.ts";
import { f32OnEveryVariant, variantBenches } from "../support/variants.ts";

const benches = await variantBenches(2 << 20);
const folder = "models/micro/quant/blocks";

describe("decode() of native's blocks", () => {
  const names = [...fileTypes.keys()].filter((name) =>
    existsSync(sharedPath(`${folder}/${name}.random.raw`)),
  );
  itShared([`${folder}/index.json`], "knows every type that has some", () => {
    const all = sharedJson<{ name: string }[]>(`${folder}/index.json`).map(({ name }) => name);
    const later = ["IQ", "MX", "NV", "TQ", "Q1", "Q2_0"];
    assert.deepEqual(
      all.filter((name) => !names.includes(name) && !later.some((prefix) => name.startsWith(prefix))),
      [],
    );
  });
  for (const name of names) {
    for (const kind of ["random", "rows"]) {
      const file = `${folder}/${name}.${kind}`;
      if (!existsSync(sharedPath(`${file}.raw`))) continue;
      it(`gives native's bits: ${name}, ${kind}`, () => {
        const { code } = fileTypes.get(name) as { code: number };
        const want = new Uint32Array(sharedBytes(`${file}.f32`).buffer);
        const raw = sharedBytes(`${file}.raw`);
        const got = f32OnEveryVariant(benches, (bench) => {
          // The file's bytes have no alignment.
          const src = bench.put(Uint8Array.from([0xff, ...raw])) + 1;
          const out = bench.alloc(4 * want.length);
          assert.equal(bench.kernels.unpack(code, src, 0, 0, 0, want.length, out), 0);
          return bench.f32(out, want.length);
        });
        assert.deepEqual(new Uint32Array(got.buffer), want);
      });
    }
  }
});
