// Suggestions for mistyped names.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { didYouMean, nearestName } from "../../src/util/nearest.ts";

describe("didYouMean()", () => {
  it("suggests near words only", () => {
    const known = ["--top-k", "--top-p", "--temperature"];
    assert.equal(didYouMean("--top_k", known), ": did you mean --top-k?");
    assert.equal(didYouMean("--temperatur", known), ": did you mean --temperature?");
    assert.equal(didYouMean("--tmpratuer", known), "");
    assert.equal(didYouMean("", known), "");
    assert.equal(didYouMean("--top-k", []), "");
    assert.equal(didYouMean("x".repeat(1_000_000), known), "");
  });
});

describe("nearestName()", () => {
  it("reads other spellings of the same words as the same name", () => {
    const known = ["maxTokens", "topK", "topP"];
    assert.equal(nearestName("max_tokens", known), "maxTokens");
    assert.equal(nearestName("maxToken", known), "maxTokens");
    assert.equal(nearestName("MAX-TOKENS", known), "maxTokens");
    assert.equal(nearestName("top_p", known), "topP");
    assert.equal(nearestName("stop", known), undefined);
    assert.equal(nearestName("window", known), undefined);
  });
});
