// The queue of requests in an isolate.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { QueueError, RequestQueue } from "../../src/edge/queue.ts";

const never = () => assert.fail("a place was lost");
const soon = (ms = 40) => new Promise((resolve) => setTimeout(resolve, ms));

describe("RequestQueue", () => {
  it("ready() comes at once where there is a place, and in the order of arrival where not", async () => {
    const queue = new RequestQueue(2, 3, 60_000);
    const tickets = Array.from({ length: 5 }, () => queue.enter(never));
    assert.deepEqual([queue.active, queue.waiting], [2, 3]);
    assert.throws(() => queue.enter(never), QueueError);
    const order: number[] = [];
    const turns = tickets.map(async (ticket, i) => {
      await ticket.ready();
      order.push(i);
    });
    await soon();
    assert.deepEqual(order, [0, 1]);
    tickets[1]?.leave();
    tickets[1]?.leave();
    await turns[2];
    assert.deepEqual(order, [0, 1, 2]);
    queue.enter(never).leave();
    tickets[0]?.leave();
    tickets[2]?.leave();
    await Promise.all(turns);
    assert.deepEqual(order, [0, 1, 2, 3, 4]);
  });

  it("ready() ends with the signal's reason", async () => {
    const queue = new RequestQueue(1, 1, 60_000);
    queue.enter(never);
    const controller = new AbortController();
    const turn = queue.enter(never).ready(controller.signal);
    const reason = new Error("gone");
    controller.abort(reason);
    await assert.rejects(turn, reason);
  });

  it("gives the place of an idle request to one that waits, and not before", async () => {
    const queue = new RequestQueue(1, 2, 30);
    let lost = 0;
    const idle = queue.enter(() => lost++);
    idle.follow();
    await soon(80);
    idle.beat();
    await soon(80);
    const busy = setInterval(() => idle.beat(), 5);
    const waiting = queue.enter(never);
    let turned = false;
    const turn = waiting.ready().then(() => {
      turned = true;
    });
    await soon(100);
    assert.deepEqual([lost, turned], [0, false]);
    clearInterval(busy);
    await turn;
    assert.equal(lost, 1);
    assert.throws(() => idle.beat(), /its place was given to another/);
    await assert.rejects(idle.ready(), QueueError);
    idle.leave();
    assert.deepEqual([queue.active, queue.waiting], [1, 0]);
  });

  it("takes a place from a request whose timers have ended with it, and from no other", () => {
    const { now } = Date;
    const { setInterval: interval } = globalThis;
    const pulses: (() => void)[] = [];
    globalThis.setInterval = ((pulse: () => void) => pulses.push(pulse)) as unknown as typeof setInterval;
    const lost: number[] = [];
    try {
      const queue = new RequestQueue(2, 2, 60_000);
      const tickets = Array.from({ length: 4 }, (_, i) => queue.enter(() => lost.push(i)));
      for (const i of [0, 2]) tickets[i]?.follow();
      Date.now = () => now() + 4_000;
      for (const i of [0, 1]) pulses[i]?.();
      for (const i of [2, 3]) tickets[i]?.beat();
      assert.deepEqual([queue.active, queue.waiting], [2, 2]);
      Date.now = () => now() + 6_000;
      assert.deepEqual([queue.active, queue.waiting], [2, 0]);
      assert.deepEqual(lost, [2, 3]);
      assert.throws(() => tickets[2]?.beat(), QueueError);
      tickets[0]?.beat();
    } finally {
      Date.now = now;
      globalThis.setInterval = interval;
    }
  });

  it("knows fewer places from the moment they are fewer", async () => {
    const queue = new RequestQueue(3, 0, 60_000);
    const tickets = Array.from({ length: 3 }, () => queue.enter(never));
    queue.places = 1;
    assert.deepEqual([queue.active, queue.waiting], [1, 2]);
    let turned = false;
    const turn = tickets[1]?.ready().then(() => {
      turned = true;
    });
    await soon();
    assert.equal(turned, false);
    tickets[0]?.leave();
    await turn;
  });
});
