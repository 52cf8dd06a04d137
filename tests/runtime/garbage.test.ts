// Garbage collections that are asked for.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { collectGarbage } from "../../src/runtime/garbage.ts";

describe("collectGarbage()", () => {
  it("asks for nothing once it is done", async () => {
    let asked = 0;
    await collectGarbage(
      () => true,
      () => asked++,
    );
    assert.equal(asked, 0);
  });

  it("waits for a collection that takes longer than asking for it", async () => {
    const start = performance.now();
    let asked = 0;
    const isDone = () => performance.now() - start > 400;
    await collectGarbage(isDone, () => asked++);
    assert.ok(isDone());
    assert.ok(asked >= 16, `asked ${asked} times`);
  });

  it("gives up", async () => {
    await collectGarbage(
      () => false,
      () => {},
    );
  });
});
