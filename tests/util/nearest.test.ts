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

  it("reads the first words of a name as that name", () => {
    const types = ["Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_K_S", "Q4_0"];
    for (const [word, name] of [
      ["Q4_K", "Q4_K_M"],
      ["q5_k", "Q5_K_M"],
      ["Q4", "Q4_K_M"],
      ["Q6", "Q6_K"],
      ["Q4KM", "Q4_K_M"],
      ["q4_k_s", "Q4_K_S"],
    ] as const) {
      assert.equal(nearestName(word, types), name, word);
    }
    assert.equal(nearestName("Q", types), undefined);
    assert.equal(nearestName("x".repeat(1_000_000), types), undefined);
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
