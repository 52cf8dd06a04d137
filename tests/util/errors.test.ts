// Classes of errors: what programs may rely on.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as errors from "../../src/util/errors.ts";

const classes: readonly (readonly [typeof errors.FormatError, errors.ErrorCode, string])[] = [
  [errors.FormatError, "FORMAT", "FormatError"],
  [errors.UnsupportedError, "UNSUPPORTED", "UnsupportedError"],
  [errors.SourceError, "SOURCE", "SourceError"],
  [errors.UsageError, "USAGE", "UsageError"],
  [errors.ContextError, "CONTEXT", "ContextError"],
  [errors.MemoryError, "MEMORY", "MemoryError"],
  [errors.TokenizerError, "TOKENIZER", "TokenizerError"],
  [errors.SamplingError, "SAMPLING", "SamplingError"],
  [errors.SnapshotError, "SNAPSHOT", "SnapshotError"],
  [errors.EngineError, "ENGINE", "EngineError"],
];

describe("errors", () => {
  it("have a code, a name, a message and a cause", () => {
    assert.equal(Object.keys(errors).length, 1 + classes.length);
    for (const [ErrorClass, code, name] of classes) {
      const cause = new Error("deeper");
      const error = new ErrorClass("Cannot: x", { cause });
      assert.ok(error instanceof ErrorClass && error instanceof errors.CriaError && error instanceof Error);
      assert.deepEqual(
        [error.code, error.name, error.message, error.cause],
        [code, name, "Cannot: x", cause],
      );
      assert.equal(String(error), `${name}: Cannot: x`);
      assert.equal("cause" in new ErrorClass("x"), false);
      for (const [Other] of classes) assert.equal(error instanceof Other, Other === ErrorClass);
    }
  });

  it("are named by their code, whatever a minifier calls their class", () => {
    const a = class extends errors.UsageError {};
    assert.deepEqual([new a("x").code, new a("x").name], ["USAGE", "UsageError"]);
  });
});
