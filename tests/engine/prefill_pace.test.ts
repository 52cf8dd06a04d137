// How many tokens of prompts a step takes beside those that decode.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FIRST_CHUNK, PrefillPace } from "../../src/engine/prefill_pace.ts";

describe("PrefillPace", () => {
  it("begins with some, and keeps to them where clocks stand still", () => {
    const pace = new PrefillPace();
    assert.equal(pace.chunk(1), FIRST_CHUNK);
    pace.ran(1, 1, 0);
    pace.ran(0, 64, Number.NaN);
    assert.equal(pace.chunk(1), FIRST_CHUNK);
    pace.ran(1, 1, 50);
    assert.equal(pace.chunk(1), FIRST_CHUNK);
  });

  it("lets a step take about twice as long as without prompts", () => {
    const pace = new PrefillPace();
    pace.ran(1, 1, 100);
    pace.ran(0, 64, 640);
    assert.equal(pace.chunk(1), 19);
    // Steps of both are what counts once there are some.
    pace.ran(1, 20, 400);
    assert.equal(pace.chunk(1), 9);
    // Eight that decode take longer by themselves.
    pace.ran(8, 8, 200);
    assert.equal(pace.chunk(8), 12);
    assert.equal(pace.chunk(7), 4, "as if they took as long as one: the next fewer that was measured");
  });

  it("takes a few at least, and no more than makes a difference", () => {
    const pace = new PrefillPace();
    pace.ran(1, 1, 1);
    pace.ran(0, 64, 6400);
    assert.equal(pace.chunk(1), 4);
    for (let i = 0; i < 100; i++) pace.ran(0, 64, 0.064);
    assert.equal(pace.chunk(1), 48);
  });
});
