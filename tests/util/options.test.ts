// Options objects with unknown names.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { UsageError } from "../../src/util/errors.ts";
import { checkOptionNames } from "../../src/util/options.ts";

function message(options: unknown): string {
  try {
    checkOptionNames("generate", options, ["maxTokens", "stop"]);
  } catch (error) {
    assert.ok(error instanceof UsageError);
    return error.message;
  }
  return "";
}

describe("checkOptionNames()", () => {
  it("takes known names, whatever their values", () => {
    assert.equal(message({}), "");
    assert.equal(message({ maxTokens: undefined, stop: null }), "");
  });

  it("names an unknown option, and the nearest or all known ones", () => {
    assert.equal(
      message({ max_tokens: 3 }),
      'Cannot generate: Unknown option "max_tokens"; did you mean maxTokens?',
    );
    assert.equal(
      message({ window: undefined }),
      'Cannot generate: Unknown option "window"; known options: maxTokens, stop',
    );
    assert.equal(
      message({ constructor: 1 }),
      'Cannot generate: Unknown option "constructor"; known options: maxTokens, stop',
    );
  });

  it("refuses what is no object", () => {
    assert.equal(message(null), "Cannot generate: Expected an object of options, got null");
    assert.equal(message([]), "Cannot generate: Expected an object of options, got an array");
    assert.equal(message(5), "Cannot generate: Expected an object of options, got 5");
  });
});
