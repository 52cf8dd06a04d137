// Places and fair shares: who gets the next place, who is refused, and what an abort leaves behind.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FairQueue, type Place } from "../../src/server/jobs/fair_queue.ts";

const never = new AbortController().signal;

/** Lets promises that are resolved be handled. */
const turn = () => new Promise((resolve) => setTimeout(resolve, 0));

/** Asks for a place; the list gets its name with it. */
function ask(queue: FairQueue, got: string[], owner: string, cost = 1, signal = never): Promise<Place> {
  return queue.enter(owner, cost, signal).then((place) => {
    got.push(owner);
    return place;
  });
}

describe("FairQueue", () => {
  it("gives places at once while there are any, and then as they are released", async () => {
    const queue = new FairQueue(2, 8);
    const got: string[] = [];
    const first = await ask(queue, got, "a");
    const second = await ask(queue, got, "a");
    assert.deepEqual([first.id, second.id], [0, 1]);
    const third = ask(queue, got, "a");
    await turn();
    assert.equal(queue.waiting, 1);
    first.release();
    first.release();
    assert.equal((await third).id, 0);
    assert.equal(queue.waiting, 0);
  });

  it("refuses a job when too many wait, and says when to come again", async () => {
    const queue = new FairQueue(1, 1);
    const place = await queue.enter("a", 1, never);
    const waiting = queue.enter("b", 1, never);
    await assert.rejects(queue.enter("c", 1, never), { code: "QUEUE", reason: "full", retryAfter: 2 });
    place.release();
    (await waiting).release();
    (await queue.enter("c", 1, never)).release();
  });

  it("lets the jobs of one request in together, and no other beside them", async () => {
    const queue = new FairQueue(1, 1);
    const place = await queue.enter("a", 1, never);
    const request = [0, 1, 2, 3].map((before) => queue.enter("b", 1, never, before));
    assert.equal(queue.waiting, 4);
    await assert.rejects(queue.enter("c", 1, never), { reason: "full" });
    await assert.rejects(queue.enter("c", 1, never, 3), { reason: "full" });
    place.release();
    for (const waiting of request) (await waiting).release();
    (await queue.enter("c", 1, never)).release();
  });

  it("serves the owner for whom least was computed", async () => {
    const queue = new FairQueue(1, 100);
    const got: string[] = [];
    const begin = await queue.enter("x", 0, never);
    const serve = async (place: Place) => place.release();
    // The busy one asks for much more, and earlier.
    const all = Array.from({ length: 6 }, () => ask(queue, got, "busy", 10).then(serve));
    all.push(...Array.from({ length: 3 }, () => ask(queue, got, "quiet", 10).then(serve)));
    begin.release();
    await Promise.all(all);
    assert.deepEqual(got.slice(0, 6), ["busy", "quiet", "busy", "quiet", "busy", "quiet"]);
  });

  it("keeps two owners with much to do within twice the largest job of each other", async () => {
    const queue = new FairQueue(4, 1000);
    const served: Record<string, number> = { a: 0, b: 0 };
    let widest = 0;
    let left = 120;
    const work = async (owner: "a" | "b", cost: number) => {
      const place = await queue.enter(owner, cost, never);
      served[owner] = (served[owner] as number) + cost;
      queue.charge(owner, cost);
      served[owner] = (served[owner] as number) + cost;
      left--;
      await turn();
      if (left > 20) widest = Math.max(widest, Math.abs((served.a as number) - (served.b as number)));
      place.release();
    };
    const jobs = Array.from({ length: 80 }, () => work("a", 5));
    jobs.push(...Array.from({ length: 40 }, (_, i) => work("b", 5 + (i % 11))));
    await Promise.all(jobs);
    // Four places are computed at once, so that each owner may be ahead by what these have.
    assert.ok(widest > 0 && widest <= 2 * 2 * 15 * 2, `apart by ${widest}`);
  });

  it("lifts a newcomer to the least of those who wait, so that idleness earns nothing", async () => {
    const queue = new FairQueue(1, 100);
    const got: string[] = [];
    const begin = await queue.enter("old", 1000, never);
    const serve = async (place: Place) => place.release();
    const all = [ask(queue, got, "old", 10).then(serve)];
    all.push(...Array.from({ length: 3 }, () => ask(queue, got, "new", 10).then(serve)));
    all.push(ask(queue, got, "old", 10).then(serve));
    begin.release();
    await Promise.all(all);
    // Without the lift, "new" would have had all of its jobs first.
    assert.deepEqual(got, ["old", "new", "new", "old", "new"]);
  });

  it("forgets who aborts while waiting, and fails with the signal's reason", async () => {
    const queue = new FairQueue(1, 8);
    const place = await queue.enter("a", 1, never);
    const abort = new AbortController();
    const waiting = queue.enter("b", 1, abort.signal);
    abort.abort(new Error("gone"));
    await assert.rejects(waiting, /gone/);
    assert.equal(queue.waiting, 0);
    place.release();
    const next = await queue.enter("c", 1, never);
    assert.equal(next.id, 0);
    await assert.rejects(queue.enter("d", 1, abort.signal), /gone/);
  });

  it("lets a place that was given back for a while come before new jobs of its owner", async () => {
    const queue = new FairQueue(1, 8);
    const got: string[] = [];
    const place = await queue.enter("a", 1, never);
    place.release();
    const other = await ask(queue, got, "b");
    const later = ask(queue, got, "a").then((own) => own.release());
    const back = place.retake(never).then(() => got.push("a again"));
    other.release();
    await back;
    assert.equal(place.id, 0);
    place.release();
    await later;
    assert.deepEqual(got, ["b", "a again", "a"]);
  });

  it("fails all that wait", async () => {
    const queue = new FairQueue(1, 8);
    const place = await queue.enter("a", 1, never);
    const waiting = [queue.enter("a", 1, never), queue.enter("b", 1, never)];
    queue.fail(new Error("broken"));
    for (const one of waiting) await assert.rejects(one, /broken/);
    place.release();
    assert.deepEqual(queue.places, [undefined]);
  });
});
