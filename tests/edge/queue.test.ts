import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Gate, GateError } from "../../src/edge/queue.ts";

const never = () => assert.fail("a place was lost");
const soon = (ms = 40) => new Promise((resolve) => setTimeout(resolve, ms));

describe("Gate", () => {
  it("turn() comes at once where there is a place, and in the order of arrival where not", async () => {
    const gate = new Gate(2, 3, 60_000);
    const tickets = Array.from({ length: 5 }, () => gate.enter(never));
    assert.deepEqual([gate.active, gate.waiting], [2, 3]);
    assert.throws(() => gate.enter(never), GateError);
    const order: number[] = [];
    const turns = tickets.map(async (ticket, i) => {
      await ticket.turn();
      order.push(i);
    });
    await soon();
    assert.deepEqual(order, [0, 1]);
    tickets[1]?.leave();
    tickets[1]?.leave();
    await turns[2];
    assert.deepEqual(order, [0, 1, 2]);
    gate.enter(never).leave();
    tickets[0]?.leave();
    tickets[2]?.leave();
    await Promise.all(turns);
    assert.deepEqual(order, [0, 1, 2, 3, 4]);
  });

  it("turn() ends with the signal's reason", async () => {
    const gate = new Gate(1, 1, 60_000);
    gate.enter(never);
    const controller = new AbortController();
    const turn = gate.enter(never).turn(controller.signal);
    const reason = new Error("gone");
    controller.abort(reason);
    await assert.rejects(turn, reason);
  });

  it("gives the place of an idle request to one that waits, and not before", async () => {
    const gate = new Gate(1, 2, 30);
    let lost = 0;
    const idle = gate.enter(() => lost++);
    idle.follow();
    await soon(80);
    idle.beat();
    await soon(80);
    const busy = setInterval(() => idle.beat(), 5);
    const waiting = gate.enter(never);
    let turned = false;
    const turn = waiting.turn().then(() => {
      turned = true;
    });
    await soon(100);
    assert.deepEqual([lost, turned], [0, false]);
    clearInterval(busy);
    await turn;
    assert.equal(lost, 1);
    assert.throws(() => idle.beat(), /its place was given to another/);
    await assert.rejects(idle.turn(), GateError);
    idle.leave();
    assert.deepEqual([gate.active, gate.waiting], [1, 0]);
  });

  it("takes a place from a request whose timers have ended with it, and from no other", () => {
    const { now } = Date;
    const { setInterval: interval } = globalThis;
    const pulses: (() => void)[] = [];
    globalThis.setInterval = ((pulse: () => void) => pulses.push(pulse)) as unknown as typeof setInterval;
    const lost: number[] = [];
    try {
      const gate = new Gate(2, 2, 60_000);
      const tickets = Array.from({ length: 4 }, (_, i) => gate.enter(() => lost.push(i)));
      for (const i of [0, 2]) tickets[i]?.follow();
      Date.now = () => now() + 4_000;
      for (const i of [0, 1]) pulses[i]?.();
      for (const i of [2, 3]) tickets[i]?.beat();
      assert.deepEqual([gate.active, gate.waiting], [2, 2]);
      Date.now = () => now() + 6_000;
      assert.deepEqual([gate.active, gate.waiting], [2, 0]);
      assert.deepEqual(lost, [2, 3]);
      assert.throws(() => tickets[2]?.beat(), GateError);
      tickets[0]?.beat();
    } finally {
      Date.now = now;
      globalThis.setInterval = interval;
    }
  });

  it("knows fewer places from the moment they are fewer", async () => {
    const gate = new Gate(3, 0, 60_000);
    const tickets = Array.from({ length: 3 }, () => gate.enter(never));
    gate.places = 1;
    assert.deepEqual([gate.active, gate.waiting], [1, 2]);
    let turned = false;
    const turn = tickets[1]?.turn().then(() => {
      turned = true;
    });
    await soon();
    assert.equal(turned, false);
    tickets[0]?.leave();
    await turn;
  });
});
