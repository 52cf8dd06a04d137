import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Row } from "../../bench/peers/tokenizers/measure.ts";
import { checksOf, type Measured, ratioTable, speedTable } from "../../bench/peers/tokenizers/results.ts";

function row(text: string, mbPerS: Record<string, number>): Row {
  const tokens = Object.fromEntries(Object.keys(mbPerS).map((name) => [name, 50]));
  return { vocabulary: "v", text, bytes: 1000, mbPerS, tokens };
}

function run(rows: Row[], rest: Partial<Measured> = {}): Measured {
  return { runtime: "bun 1", rows, characters: { English: 200 }, skipped: [], ...rest };
}

describe("checksOf()", () => {
  it("divides speeds by those of peers", () => {
    const checks = checksOf(run([row("English", { cria: 10, tiktoken: 5, "gpt-tokenizer": 5 })]));
    assert.deepEqual(
      checks.map(({ value, target, met }) => [value, target, met]),
      [
        [2, 1, true],
        [2, 2.5, false],
      ],
    );
  });

  it("compares tokenizer.json with the peer that reads it", () => {
    const speeds = { cria: 100, "cria, tokenizer.json": 40, "@huggingface/tokenizers": 10 };
    const [only] = checksOf(run([row("code", speeds)]));
    assert.deepEqual([only?.value, only?.met], [4, false]);
  });

  it("compares hard texts with English in the same rounds, byte for byte", () => {
    const spaces = { ...row("spaces", { cria: 5 }), englishMbPerS: { cria: 30 } };
    const checks = checksOf(run([row("English", { cria: 20, tiktoken: 30 }), spaces]));
    const hard = checks.find(({ what }) => what.includes("spaces"));
    assert.deepEqual([hard?.value, hard?.met], [6, false]);
  });

  it("limits the time that loading takes", () => {
    assert.equal(checksOf(run([], { llama3LoadMs: 150 }))[0]?.met, true);
    assert.equal(checksOf(run([], { llama3LoadMs: 151 }))[0]?.met, false);
  });
});

describe("speedTable() and ratioTable()", () => {
  it("show speeds, characters of a token and what was missed", () => {
    const one = run([row("English", { cria: 30, tiktoken: 60 })]);
    assert.match(speedTable(one), /\| v \| English \| cria \| 30 \| 50 \| 4 \|/);
    assert.match(ratioTable(checksOf(one)), /\| 0\.5 \| ≥ 1: \*\*missed\*\* \|/);
  });
});
