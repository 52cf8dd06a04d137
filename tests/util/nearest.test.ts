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

  it("reads a word that shortens one name only as that name, unless another is nearer", () => {
    const known = ["temperature", "contextLength", "topK", "topP", "maxTokens", "maxBytes", "seed"];
    assert.equal(nearestName("temp", known), "temperature");
    assert.equal(nearestName("ctx", known), "contextLength");
    assert.equal(nearestName("context", known), "contextLength");
    assert.equal(nearestName("max", known), undefined);
    assert.equal(nearestName("te", known), undefined);
    assert.equal(nearestName("length", known), undefined);
    assert.equal(nearestName("retry", ["retries", "retryMs"]), undefined);
    assert.equal(nearestName("send", known), "seed");
  });
});
