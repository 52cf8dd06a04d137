// Writes tests/golden/logits.json: hashes of the embedded model's logits after each of 80 fixed ids, by precision ("file":
// as the file is) and KV type; and mixes.json: the same of models whose matrices are of several types, as they are and with
// precision f32.
// Tests compare every kernel build, split of the prompt and runtime with them. Run it (`bun scripts/golden.ts`) only
// if a change of the arithmetic is intended or another model is embedded, and say why in the commit.
import { readFileSync, writeFileSync } from "node:fs";
import { precisions } from "../src/quant/registry.ts";
import { MIXED_VOCAB, mixedModel, mixNames } from "../tests/support/mixed_models.ts";
import { allLogits, embeddedModel, engineOf, hashLogits, someIds } from "../tests/support/models.ts";

const bytes = new Uint8Array(readFileSync(embeddedModel));
const hashes: Record<string, string> = {};
for (const precision of [undefined, ...precisions]) {
  for (const kv of ["f32", "f16", "q8"] as const) {
    const engine = await engineOf(bytes, { precision, kv, kernel: "simd", contextLength: 128 });
    hashes[`${precision ?? "file"}/${kv}`] = hashLogits(await allLogits(engine, someIds(80, 4096), [1]));
  }
}
const mixed: Record<string, string> = {};
for (const mix of mixNames) {
  for (const precision of [undefined, "f32"] as const) {
    const engine = await engineOf(mixedModel(mix), { precision, kernel: "simd" });
    mixed[`${mix}/${precision ?? "file"}`] = hashLogits(
      await allLogits(engine, someIds(80, MIXED_VOCAB), [1]),
    );
  }
}
write("logits", hashes);
write("mixes", mixed);

function write(name: string, hashes: Readonly<Record<string, string>>): void {
  const file = new URL(`../tests/golden/${name}.json`, import.meta.url);
  writeFileSync(file, `${JSON.stringify(hashes, null, 2)}\n`);
}
