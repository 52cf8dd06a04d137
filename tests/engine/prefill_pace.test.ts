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

  it("fills what a step may take, in numbers of tokens that kernels like", () => {
    const pace = new PrefillPace();
    pace.ran(1, 1, 100);
    pace.ran(0, 64, 640);
    // 220 ms are 22 tokens; 20 are a multiple of four, and one of them decodes.
    assert.equal(pace.chunk(1), 19);
    // Steps of both are what counts once there are some.
    pace.ran(1, 20, 200);
    assert.equal(pace.chunk(1), 19);
    // Eight that decode take longer by themselves.
    pace.ran(8, 8, 200);
    assert.equal(pace.chunk(8), 36);
    assert.equal(pace.chunk(7), 13, "as if they took as long as one: the next fewer that was measured");
    const fast = new PrefillPace();
    fast.ran(1, 1, 100);
    fast.ran(0, 64, 0.64);
    assert.equal(fast.chunk(1), 47);
    for (let decoding = 1; decoding <= 8; decoding++) {
      const slow = new PrefillPace();
      slow.ran(decoding, decoding, 1);
      slow.ran(0, 64, 6400);
      const chunk = slow.chunk(decoding);
      assert.ok(chunk >= 1 && chunk + decoding >= 8 && (chunk + decoding) % 4 === 0, `${decoding}: ${chunk}`);
    }
  });

  it("lets steps with prompts alternate with others if they take too long", () => {
    const pace = new PrefillPace();
    pace.ran(1, 1, 100);
    pace.ran(0, 64, 6400);
    let time = 0;
    let steps = 0;
    let prompts = 0;
    for (; steps < 300; steps++) {
      const chunk = pace.chunk(1);
      // Eight tokens take five times as long as one.
      const ms = chunk === 0 ? 100 : 500;
      if (chunk > 0) prompts++;
      pace.ran(1, 1 + chunk, ms);
      time += ms;
    }
    assert.ok(time / steps <= 220, `${time / steps} ms a step, alone 100`);
    assert.ok(prompts >= 60, `${prompts} of ${steps} with prompts`);
    // Nobody is left who waits.
    pace.ran(1, 8, 5000);
    assert.equal(pace.chunk(1), 0);
    pace.ran(0, 64, 6400);
    assert.ok(pace.chunk(1) > 0);
  });
});
