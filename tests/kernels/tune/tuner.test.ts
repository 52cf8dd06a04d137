// What is chosen for a machine, on kernels that only say which engine they run in.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DOT_MOVED, DOT_SIGNED, DOT_UNSIGNED, DOT_WIDE } from "../../../assembly/layout/blocks.ts";
import { SPLAT_LOADS, SPLAT_SHUFFLES } from "../../../assembly/layout/control.ts";
import type { KernelExports } from "../../../src/kernels/exports.gen.ts";
import { type DotForm, dotForms, exactForms } from "../../../src/kernels/tune/dot_form.ts";
import { Tuner } from "../../../src/kernels/tune/tuner.ts";
import { UsageError } from "../../../src/mod.ts";

/** Kernels in an engine with this form, all of whose sweeps take no time: one stream is chosen. */
const kernelsOf = (form: number) => ({ dot_form: () => form }) as unknown as KernelExports;

const formsOf: readonly [own: number, forms: readonly DotForm[]][] = [
  [DOT_WIDE, ["wide"]],
  [DOT_MOVED, ["wide", "moved"]],
  [DOT_UNSIGNED, ["wide", "moved", "unsigned"]],
  [DOT_SIGNED, ["wide", "moved", "signed"]],
];

describe("exactForms()", () => {
  it("are those that need no more than the engine does, its own last", () => {
    for (const [own, forms] of formsOf) assert.deepEqual(exactForms(kernelsOf(own)), forms);
  });
});

describe("Tuner", () => {
  const area = { x: 0, out: 0, scratch: 0 };

  it("takes the engine's own form and measures streams, unless options fix them", () => {
    for (const [own, forms] of formsOf) {
      const kernels = kernelsOf(own);
      const usual = new Tuner("relaxed", kernels);
      assert.equal(usual.dotCode, own);
      const set: number[] = [];
      usual.measure(kernels, [], area, (code) => set.push(code));
      assert.deepEqual([usual.streams, usual.splatCode, set], [1, SPLAT_LOADS, [SPLAT_LOADS]]);
      for (const dot of forms) {
        const fixed = new Tuner("relaxed", kernels, { dot, streams: 4, splats: "shuffles" });
        assert.deepEqual([fixed.dotCode, fixed.streams, fixed.splatCode], [dotForms[dot], 4, SPLAT_SHUFFLES]);
        fixed.measure(kernels, [], area, () => {});
        const { streams, splats } = fixed.choices;
        assert.deepEqual([fixed.choices.dot, streams, splats], [dot, 4, "shuffles"]);
      }
    }
  });

  it("refuses a form that the engine computes wrongly, and says which are right", () => {
    for (const [own, forms] of formsOf) {
      for (const dot of Object.keys(dotForms) as DotForm[]) {
        if (forms.includes(dot)) continue;
        assert.throws(() => new Tuner("relaxed-shared", kernelsOf(own), { dot }), {
          name: UsageError.name,
          message:
            `Cannot load with tune.dot "${dot}": Expected one of ${forms.join(", ")}, which are right in this ` +
            'runtime with the kernel build "relaxed-shared"',
        });
      }
    }
  });

  it("reports choices that follow each run, in objects that nobody can change", () => {
    const tuner = new Tuner("simd-shared", kernelsOf(DOT_WIDE), { threads: { one: 2, many: 3 } });
    const before = tuner.choices;
    const threads = { load: 1, one: 1, few: 1, many: 1 };
    assert.deepEqual(before, { variant: "simd-shared", dot: "wide", streams: 1, splats: "loads", threads });
    tuner.threadTuner.threads("one", 1, 1, 4);
    tuner.threadTuner.threads("many", 1, 1, 4);
    assert.deepEqual(tuner.choices.threads, { ...threads, one: 2, many: 3 });
    assert.deepEqual(before.threads, threads);
    assert.ok(Object.isFrozen(before) && Object.isFrozen(before.threads));
  });
});
