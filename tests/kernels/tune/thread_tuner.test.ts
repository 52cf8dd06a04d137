// What is chosen by measurement, fed with times that are made up.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  Duels,
  fixedThreads,
  neededThreads,
  stepKind,
  ThreadTuner,
} from "../../../src/kernels/tune/thread_tuner.ts";

/** Milliseconds that a unit of work takes with `threads` threads at time `now`. */
type Machine = (threads: number, now: number) => number;

/** Random numbers in [0, 1), the same in every run. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Runs of `work` units for `ms` milliseconds: what was done, and the units by number of threads. */
function simulate(duels: Duels, machine: Machine, ms: number, work = 1, begin = 0) {
  const units = new Map<number, number>();
  let done = 0;
  let now = begin;
  while (now < begin + ms) {
    const { threads } = duels;
    const time = work * machine(threads, now);
    // Threads that take so much longer have been waited for.
    duels.ran(work, time, time > 5 * work * machine(1, now));
    now += time;
    done += work;
    units.set(threads, (units.get(threads) ?? 0) + work);
  }
  return { done, units, share: (threads: number) => (units.get(threads) ?? 0) / done };
}

function duelsOf(threads: number): Duels {
  const duels = new Duels();
  duels.limit(threads);
  return duels;
}

const quiet: Machine = (threads) => 4 / threads ** 0.85;
const busy: Machine = (threads) => (threads === 1 ? 5 : 60);

describe("Duels", () => {
  it("begins with all threads, and with one once they stall", () => {
    assert.equal(new Duels().threads, 1);
    assert.equal(duelsOf(1).threads, 1);
    const duels = duelsOf(8);
    assert.equal(duels.threads, 8);
    duels.ran(1, 3);
    assert.equal(duels.threads, 8);
    duels.ran(1, 3, true);
    assert.equal(duels.threads, 8);
    duels.ran(1, 3, true);
    assert.equal(duels.threads, 1);
    // All are tried soon, and win where they are faster.
    assert.ok(simulate(duels, quiet, 5000).share(8) > 0.75);
    duels.ran(1, 3, true);
    assert.equal(duels.threads, 8);
  });

  it("takes no long time to find the better number", () => {
    for (const [machine, best] of [
      [quiet, 2],
      [busy, 1],
    ] as const) {
      for (const work of [0.1, 1, 3]) {
        const duels = duelsOf(2);
        simulate(duels, machine, 600, work);
        assert.ok(simulate(duels, machine, 100, work).share(best) > 0.6, `${best}, ${work}`);
      }
    }
  });

  it("takes all threads of a quiet machine", () => {
    for (const cores of [2, 3, 4, 6, 8, 16, 64]) {
      const { share } = simulate(duelsOf(cores), quiet, 20_000);
      assert.ok(share(cores) > 0.85, `${cores} cores: ${share(cores)}`);
    }
  });

  it("stays with one where a second costs more than it does, at the cost of some hundredths", () => {
    const { done } = simulate(duelsOf(2), busy, 20_000);
    assert.ok(done > 0.93 * (20_000 / 5), `${done}`);
  });

  it("finds the best number in between", () => {
    for (const best of [2, 4, 8]) {
      const machine: Machine = (threads) => 4 + 2 * Math.abs(Math.log2(threads / best));
      const { share } = simulate(duelsOf(16), machine, 30_000);
      assert.ok(share(best) > 0.8, `${best}: ${share(best)}`);
    }
  });

  it("follows a machine that gets busy and quiet again", () => {
    const duels = duelsOf(2);
    const machine: Machine = (threads, now) => (Math.floor(now / 5000) % 2 ? busy : quiet)(threads, now);
    for (let phase = 0; phase < 6; phase++) {
      const from = phase * 5000;
      const { done } = simulate(duels, machine, 5000, 1, from);
      const best = 5000 / Math.min(machine(1, from), machine(2, from));
      assert.ok(done > 0.75 * best, `phase ${phase}: ${done} of ${best}`);
    }
  });

  it("follows a second thread that becomes slow, also in long steps", () => {
    for (const work of [1, 20]) {
      const duels = duelsOf(2);
      assert.ok(simulate(duels, quiet, 10_000, work).share(2) > 0.8);
      assert.ok(simulate(duels, busy, 20_000, work, 10_000).share(1) > 0.8);
      assert.ok(simulate(duels, quiet, 20_000, work, 30_000).share(2) > 0.8);
    }
  });

  it("does with times that scatter", () => {
    for (const [one, two] of [
      [1, 0.6],
      [1, 1.6],
      [1, 0.95],
    ] as const) {
      const next = random(7);
      // Now and then the process is not running for a while.
      const away = () => (next() < 0.1 ? 4 * next() : 0);
      const machine: Machine = (threads) => (threads === 1 ? one : two) * 4 * (0.7 + 0.6 * next()) + away();
      const { done } = simulate(duelsOf(2), machine, 20_000);
      const alone = simulate(new Duels(), machine, 20_000).done;
      const best = one < two ? alone : (alone * (4 * one + 0.2)) / (4 * two + 0.2);
      assert.ok(done > 0.9 * best, `${one}, ${two}: ${done} of ${best}`);
    }
  });

  it("drifts of one and the same length change nothing", () => {
    // A context that grows makes every step slower, with any number of threads.
    const { share } = simulate(duelsOf(2), (threads, now) => quiet(threads, now) * (1 + now / 2000), 20_000);
    assert.ok(share(2) > 0.85, `${share(2)}`);
  });

  it("survives times that are none, and a process that was stopped", () => {
    const duels = duelsOf(2);
    for (const ms of [Number.NaN, Number.POSITIVE_INFINITY, -1]) {
      for (let i = 0; i < 1000; i++) duels.ran(1, ms);
    }
    for (const work of [0, -1, Number.NaN]) duels.ran(work, 1);
    // A clock that stands still: nothing is learned, nothing breaks.
    for (let i = 0; i < 1000; i++) duels.ran(1, 0);
    assert.equal(duels.threads, 2);
    assert.ok(simulate(duels, quiet, 5000).share(2) > 0.75);
    duels.ran(1, 3_600_000);
    assert.ok(simulate(duels, quiet, 5000).share(2) > 0.75);
  });

  it("begins anew when more threads are there", () => {
    const duels = duelsOf(2);
    assert.ok(simulate(duels, quiet, 5000).share(2) > 0.75);
    duels.limit(4);
    assert.equal(duels.threads, 4);
    assert.ok(simulate(duels, quiet, 10_000).share(4) > 0.75);
    duels.limit(4);
    assert.ok(simulate(duels, quiet, 1000).share(1) < 0.3);
  });
});

describe("ThreadTuner", () => {
  const large = 100 << 20;

  it("threads() is 1 for steps too small to gain, and where there is one thread", () => {
    const tuner = new ThreadTuner();
    for (let i = 0; i < 10_000; i++) {
      assert.equal(tuner.threads("one", 2 << 20, 45, 2), 1);
      tuner.ran("one", 1, 2 << 20, 3);
      assert.equal(tuner.threads("many", large, 45, 1), 1);
      tuner.ran("many", 1, large, 3);
    }
  });

  it("threads() begins with one in small steps, and with all in large ones", () => {
    assert.equal(new ThreadTuner().threads("one", 8 << 20, 45, 2), 1);
    assert.equal(new ThreadTuner().threads("one", large, 45, 2), 2);
    assert.equal(new ThreadTuner().threads("load", 1000, 1, 2), 2);
  });

  it("threads() learns each kind of step by itself, and nothing from steps too small for it", () => {
    const tuner = new ThreadTuner();
    const step = (kind: "one" | "many", work: number, machine: Machine) => {
      const threads = tuner.threads(kind, work, 45, 2);
      tuner.ran(kind, threads, work, (machine(threads, 0) * work) / large);
      return threads;
    };
    for (let i = 0; i < 3000; i++) {
      step("many", large, quiet);
      step("one", large, busy);
      step("many", 1 << 20, (threads) => busy(threads, 0) * 100);
    }
    let [many, one] = [0, 0];
    for (let i = 0; i < 100; i++) {
      many += step("many", large, quiet);
      one += step("one", large, busy);
    }
    assert.ok(many > 180 && one < 120, `${many}, ${one}`);
  });

  it("threads() is what options fix, as far as threads are there", () => {
    const tuner = new ThreadTuner({ threads: { one: 3, many: 4 } });
    assert.equal(tuner.threads("one", 1, 45, 4), 3);
    assert.equal(tuner.threads("one", 1, 45, 2), 2);
    assert.equal(tuner.threads("many", large, 45, 4), 4);
    tuner.ran("many", 4, large, 1000, true);
    assert.equal(tuner.threads("many", large, 45, 4), 4);
    assert.equal(tuner.threads("few", 1, 45, 4), 1);
    assert.deepEqual(tuner.chosen, { load: 1, one: 2, few: 1, many: 4 });
    assert.equal(new ThreadTuner({ threads: 2 }).threads("load", 1, 1, 4), 2);
  });
});

describe("tuning options", () => {
  it("fix all kinds, some or none", () => {
    assert.equal(fixedThreads(undefined, "one"), undefined);
    assert.equal(fixedThreads({}, "one"), undefined);
    assert.equal(fixedThreads({ threads: 3 }, "load"), 3);
    assert.equal(fixedThreads({ threads: { one: 3 } }, "load"), undefined);
    assert.equal(neededThreads(undefined, 2), 2);
    assert.equal(neededThreads({ threads: 1 }, 2), 1);
    assert.equal(neededThreads({ threads: 3 }, 2), 3);
    assert.equal(neededThreads({ threads: { one: 1, many: 1 } }, 2), 2);
    assert.equal(neededThreads({ threads: { one: 3, many: 5 } }, 2), 5);
    assert.equal(neededThreads(undefined, 100_000), 256);
  });

  it("stepKind() tells steps apart by their tokens", () => {
    assert.deepEqual([1, 2, 8, 9, 64].map(stepKind), ["one", "few", "few", "many", "many"]);
  });
});
