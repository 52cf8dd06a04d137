// Files of every tensor type beside what native llama.cpp computes for them: exact weights, and weights as they are held.
import { strict as assert } from "node:assert";
import { existsSync } from "node:fs";
import { describe } from "node:test";
import { Llama } from "../../src/mod.ts";
import { logProbabilities, nativeLines } from "../support/native.ts";
import { itShared, sharedJson, sharedPath } from "../support/shared.ts";

const QUANT = "models/micro/quant";
const LINES = `${QUANT}/native.jsonl`;
const NLL = "models/micro/tales/nll.json";

/** Log-probabilities of the 20 likeliest next tokens, by position. */
type Top = Record<string, [id: number, logProbability: number][]>;

interface Line {
  readonly file: string;
  readonly ids: number[];
  readonly top: Top;
  readonly exact?: { readonly top: Top };
  readonly limit: number;
  readonly native_rms: number;
  readonly default_limit?: number;
}

interface Tales {
  readonly ids: Record<string, number[]>;
  readonly models: {
    readonly file: string;
    readonly exact?: Record<string, { readonly mean_nll: number }>;
  }[];
}

const lines = nativeLines<Line>(LINES);

/** Differences from the reference, at each of its positions. */
async function differences(llama: Llama, ids: readonly number[], top: Top): Promise<number[]> {
  const found: number[] = [];
  for (const [position, row] of Object.entries(top)) {
    const own = logProbabilities(await llama.logits(ids.slice(0, Number(position) + 1)));
    for (const [id, expected] of row) found.push((own[id] as number) - expected);
  }
  return found;
}

describe("files of native's quantizer", () => {
  itShared([LINES], "are exact at precision f32, and near at defaults", async () => {
    assert.ok(lines.length >= 31);
    for (const { file, ids, top, exact, limit, native_rms, default_limit } of lines) {
      const expected = exact?.top ?? top;
      const path = sharedPath(`${QUANT}/${file}`);
      const precise = await Llama.load(path, { precision: "f32", kv: "f32", threads: 1 });
      const worst = Math.max(...(await differences(precise, ids, expected)).map(Math.abs));
      precise.dispose();
      assert.ok(worst <= limit, `${file}: ${worst}, at most ${limit}`);
      if (default_limit === undefined) continue;
      const own = await Llama.load(path, { threads: 1 });
      const found = await differences(own, ids, expected);
      own.dispose();
      const rms = Math.sqrt(found.reduce((sum, d) => sum + d * d, 0) / found.length);
      assert.ok(rms <= 1.5 * native_rms, `${file}: rms ${rms}, native ${native_rms}`);
    }
  });

  itShared([NLL], "of a trained model lose less than 0.15 % of their likelihood", async () => {
    const { ids, models } = sharedJson<Tales>(NLL);
    let seen = 0;
    for (const { file, exact } of models) {
      const path = sharedPath(`models/micro/tales/${file}`);
      if (!exact || !existsSync(path)) continue;
      const llama = await Llama.load(path, { threads: 1 });
      for (const [text, { mean_nll }] of Object.entries(exact)) {
        const { nll } = await llama.perplexity(ids[text] as number[], { window: 256 });
        assert.ok(
          nll <= 1.0015 * mean_nll && nll >= mean_nll / 1.0015,
          `${file}, ${text}: ${nll}, ${mean_nll}`,
        );
        seen++;
      }
      llama.dispose();
    }
    assert.ok(seen >= 8, `${seen} texts`);
  });
});
