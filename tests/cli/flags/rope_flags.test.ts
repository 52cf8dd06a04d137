// The flags of rotary scalings: what they ask the library for, and its errors in their names.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ArgumentError, parseArgs } from "../../../src/cli/flags/args.ts";
import { nameFlags } from "../../../src/cli/flags/flag_names.ts";
import { memoryFlags, ropeScalingOf } from "../../../src/cli/load_model.ts";
import { Llama, type RopeScalingOptions } from "../../../src/mod.ts";
import { tinyLlamaGguf } from "../../support/gguf_writer.ts";

const asked = (...args: string[]) => ropeScalingOf(parseArgs(args, memoryFlags).values);

describe("--rope-scaling and --rope-scale", () => {
  it("ask for a scaling and its factor", () => {
    assert.equal(asked(), undefined);
    assert.deepEqual(asked("--rope-scaling", "yarn"), { type: "yarn" });
    assert.deepEqual(asked("--rope-scaling=linear", "--rope-scale", "2.5"), { type: "linear", factor: 2.5 });
    assert.deepEqual(asked("--rope-scaling", "none"), { type: "none" });
  });

  it("refuse kinds that nobody knows, factors below 1, and a factor of nothing", () => {
    for (const [args, message] of [
      [
        ["--rope-scaling", "longrope"],
        "--rope-scaling: Expected one of none, linear, ntk, dynamic, yarn, got longrope",
      ],
      [["--rope-scaling", "yarn", "--rope-scale", "0.5"], "--rope-scale: Expected a number ≥ 1, got 0.5"],
      [["--rope-scaling", "yarn", "--rope-scale", "NaN"], "--rope-scale: Expected a number ≥ 1, got NaN"],
      [["--rope-scale", "4"], "--rope-scale: Expected --rope-scaling beside it, got none"],
    ] as const) {
      assert.throws(
        () => asked(...args),
        (error: Error) => {
          assert.ok(error instanceof ArgumentError);
          assert.equal(error.message, `Cannot read ${message}`);
          return true;
        },
      );
    }
  });

  it("are named by the errors of loading", async () => {
    const { bytes } = tinyLlamaGguf();
    for (const [ropeScaling, contextLength, message] of [
      [
        { type: "yarn" },
        undefined,
        "Cannot load with --rope-scaling yarn: Expected --rope-scale or --context to say how far it reaches, got neither",
      ],
      [
        { type: "linear", factor: 2 },
        300,
        "Cannot load with --context 300: Expected at most 256 (the model's 128, and --rope-scale 2)",
      ],
      [
        { type: "none", factor: 2 },
        undefined,
        "Cannot load with --rope-scale 2: Expected none with type none",
      ],
      [
        { type: "ntk", factor: 2 ** 21 },
        undefined,
        "Cannot load with --rope-scale 2097152: Expected a number in [1, 1048576]",
      ],
    ] as [RopeScalingOptions, number | undefined, string][]) {
      await assert.rejects(
        Llama.load(bytes, { ropeScaling, ...(contextLength && { contextLength }) }),
        (error: Error) => {
          assert.equal(nameFlags(error.message, memoryFlags, []), message);
          return true;
        },
      );
    }
  });
});
