// Stop strings in text that comes in pieces.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { StopMatcher } from "../../src/session/stop_strings.ts";

// What a matcher lets through when text comes in these parts.
function feed(stops: string[], parts: string[]): { text: string; matched: boolean } {
  const matcher = new StopMatcher(stops);
  const text = parts.map((part) => matcher.push(part)).join("") + matcher.flush();
  return { text, matched: matcher.matched };
}

describe("StopMatcher", () => {
  it("push() lets everything through without stop strings", () => {
    assert.deepEqual(feed([], ["a", "", "b"]), { text: "ab", matched: false });
    assert.deepEqual(feed([""], ["a", "b"]), { text: "ab", matched: false });
  });

  it("push() holds back what may become a stop string", () => {
    const matcher = new StopMatcher(["END"]);
    assert.equal(matcher.push("xE"), "x");
    assert.equal(matcher.push("N"), "");
    assert.equal(matcher.push("x"), "ENx");
    assert.equal(matcher.push("EEN"), "E");
    assert.equal(matcher.push("D more"), "");
    assert.equal(matcher.matched, true);
    assert.equal(matcher.push("END"), "");
    assert.equal(matcher.flush(), "");
  });

  it("push() ends at the first of several stop strings, however text is cut", () => {
    const words = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 4 });
    fc.assert(
      fc.property(fc.array(words, { maxLength: 12 }), fc.array(words, { maxLength: 3 }), (parts, stops) => {
        const whole = parts.join("");
        const at = stops.filter((stop) => stop !== "").map((stop) => whole.indexOf(stop));
        const found = at.filter((i) => i >= 0);
        // A longer stop string that begins earlier may be complete only after a shorter one: the first to be
        // complete wins, and text before it has already gone out.
        const { text, matched } = feed(stops, parts);
        assert.equal(matched, found.length > 0);
        assert.ok(whole.startsWith(text));
        if (matched) {
          assert.ok(text.length <= Math.max(...found));
          assert.ok(text.length >= Math.min(...found));
        } else {
          assert.equal(text, whole);
        }
      }),
    );
  });
});
