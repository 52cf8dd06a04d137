// Measures a group: its peers take turns, and one computes at a time.
import { readFileSync } from "node:fs";
import { open, stat } from "node:fs/promises";
import { openModelFile } from "../../src/format/detect.ts";
import { detectRuntime } from "../../src/runtime/detect.ts";
import { openSource } from "../../src/source/open.ts";
import type { Group, Timed } from "./groups.ts";
import { type PeerName, PeerProcess, peerNames } from "./peer_process.ts";

/** How much to measure. */
export interface Effort {
  /** Turns of decoding of every peer. */
  readonly rounds: number;
  /** Turns of prefill of every peer, in the first rounds. */
  readonly prefills: number;
  /** Turns of either of llama.cpp's WebAssembly builds with large models, which take ten times as long. */
  readonly slowRounds: number;
  /** Whether loads are repeated. */
  readonly loads: boolean;
  /** The share of a group's tokens to decode. */
  readonly tokens: number;
  /** The only number of threads to measure with, if not all. */
  readonly threads?: number | undefined;
}

/** A peer with a number of threads. */
export interface Seat {
  readonly peer: PeerName;
  readonly threads: number;
}

/** The measurements of a seat: milliseconds (of one token for decode), and bytes for memory. */
export interface SeatTimes extends Seat {
  readonly version: string;
  readonly times: Readonly<Record<Timed, readonly number[]>>;
  readonly peakBytes: number | undefined;
  /** Most resident bytes before the model was loaded. */
  readonly emptyBytes: number | undefined;
  /** Bytes of cria's linear memory. */
  readonly linearBytes: number | undefined;
  /** The reason if the peer could not be measured to the end. */
  readonly failure: string | undefined;
}

/** The measurements of a group. */
export interface GroupTimes {
  readonly group: Group;
  readonly fileBytes: number;
  /** Bytes of the file's tensors. */
  readonly weightBytes: number;
  readonly seats: readonly SeatTimes[];
  /** Cores that were busy while every peer was idle. They show how quiet the machine was. */
  readonly otherCores: readonly number[];
}

// After a step, threads spin for some time, and a browser cleans up.
const SETTLE_MS = 300;
const SLOW: ReadonlySet<PeerName> = new Set(["wllama", "fugood"]);
const SLOW_TOKENS = 8;
// Loads of the others are not results, so they load once.
const LOADERS: ReadonlySet<PeerName> = new Set(["native", "deno", "bun"]);
const LARGE_BYTES = 256 << 20;

// Hundredths of a second that all cores together have been busy; undefined if the system does not report it.
function busyTicks(): number | undefined {
  try {
    const [, user, nice, system, , , irq, softIrq] = readFileSync("/proc/stat", "utf8").split(/\s+/, 8);
    return [user, nice, system, irq, softIrq].reduce((sum, ticks) => sum + Number(ticks), 0);
  } catch {
    return undefined;
  }
}

// Waits between turns. In the second half every peer is idle, so busy cores work for other programs.
async function settle(otherCores: number[]): Promise<void> {
  const pause = () => new Promise((resolve) => setTimeout(resolve, SETTLE_MS / 2));
  await pause();
  const before = busyTicks();
  const begin = performance.now();
  await pause();
  const after = busyTicks();
  if (before === undefined || after === undefined) return;
  otherCores.push(((after - before) * 10) / (performance.now() - begin));
}

// Reads a file once. Every load then finds it in the operating system's cache.
async function warm(path: string): Promise<void> {
  const file = await open(path);
  const buffer = new Uint8Array(8 << 20);
  while ((await file.read(buffer, 0, buffer.length)).bytesRead > 0);
  await file.close();
}

async function weightBytesOf(path: string): Promise<number> {
  const source = await openSource(path, detectRuntime());
  const { tensors } = await openModelFile(source);
  await source.close();
  return [...tensors.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
}

class Player {
  readonly seat: Seat;
  readonly times = { decode: [] as number[], prefill: [] as number[], load: [] as number[] };
  version = "";
  peakBytes: number | undefined;
  emptyBytes: number | undefined;
  linearBytes: number | undefined;
  failure: string | undefined;
  readonly #otherCores: number[];
  #process: PeerProcess | undefined;

  constructor(seat: Seat, otherCores: number[]) {
    this.seat = seat;
    this.#otherCores = otherCores;
  }

  /** Runs work that may fail. A peer that has failed does nothing more. */
  async play(work: (process: PeerProcess) => Promise<void>): Promise<void> {
    if (this.failure !== undefined) return;
    try {
      this.#process ??= new PeerProcess(this.seat.peer);
      await work(this.#process);
    } catch (error) {
      this.failure = (error as Error).message;
      console.error(this.failure);
      await this.end();
    }
    await settle(this.#otherCores);
  }

  async end(): Promise<void> {
    await this.#process?.end();
    this.#process = undefined;
  }
}

/** Measures a group. */
export async function runGroup(group: Group, path: string, peers: readonly PeerName[], effort: Effort) {
  const fileBytes = (await stat(path)).size;
  await warm(path);
  const otherCores: number[] = [];
  const players = seatsOf(group, peers)
    .filter(({ threads }) => effort.threads === undefined || threads === effort.threads)
    .map((seat) => new Player(seat, otherCores));
  try {
    await loadAll(group, path, players, effort);
    await takeTurns(group, fileBytes, players, effort);
  } finally {
    for (const player of players) await player.end();
  }
  const seats = players.map((player) => {
    const { seat, version, times, peakBytes, emptyBytes, linearBytes, failure } = player;
    return { ...seat, version, times, peakBytes, emptyBytes, linearBytes, failure };
  });
  const weightBytes = await weightBytesOf(path);
  return { group, fileBytes, weightBytes, seats, otherCores } satisfies GroupTimes;
}

function seatsOf(group: Group, peers: readonly PeerName[]): Seat[] {
  const { threads } = group;
  const here = (name: PeerName) => peers.includes(name);
  return [
    ...peerNames
      .filter((peer) => group.peers.includes(peer) && here(peer))
      .map((peer) => ({ peer, threads })),
    ...group.single.filter(here).map((peer) => ({ peer, threads: 1 })),
  ];
}

// The first of several loads is not counted, because the system may have to free memory for it.
async function loadAll(group: Group, path: string, players: readonly Player[], effort: Effort) {
  const { contextLength, kv, f32 } = group;
  const loads = effort.loads && group.loads > 1 ? group.loads + 1 : 1;
  for (let i = 0; i < loads; i++) {
    for (const player of players) {
      const { peer, threads } = player.seat;
      const repeated = loads > 1 && LOADERS.has(peer) && threads === group.threads;
      if (i > 0 && !repeated) continue;
      if (i > 0) await player.end();
      await player.play(async (process) => {
        player.version = await process.about();
        player.emptyBytes = (await process.memory()).peakBytes;
        const ms = await process.load({ file: path, threads, contextLength, kv, f32 });
        if (i > 0 || !repeated) player.times.load.push(ms);
      });
      progress(player, "load");
    }
  }
}

async function takeTurns(group: Group, fileBytes: number, players: readonly Player[], effort: Effort) {
  const { prefill, decode } = group;
  const large = fileBytes > LARGE_BYTES;
  for (let round = -1; round < effort.rounds; round++) {
    // The first round is a warm-up. Each further round begins with another peer.
    for (let i = 0; i < players.length; i++) {
      const player = players[(i + Math.max(0, round)) % players.length] as Player;
      const slow = large && SLOW.has(player.seat.peer);
      if (slow && round >= effort.slowRounds) continue;
      // Slow peers decode fewer tokens: their code is compiled ahead of time and needs no long warm-up.
      const tokens = Math.ceil(decode.tokens * effort.tokens);
      const fewer = slow ? Math.min(tokens, SLOW_TOKENS) : tokens;
      await player.play(async (process) => {
        const decodeMs = await process.decode(fewer, decode.position);
        if (round >= 0) player.times.decode.push(decodeMs);
      });
      const warmUp = round < 0 && slow;
      if (prefill > 0 && round < effort.prefills && !warmUp && player.seat.peer !== "memory") {
        await player.play(async (process) => {
          const prefillMs = await process.prefill(prefill);
          if (round >= 0) player.times.prefill.push(prefillMs);
        });
      }
      progress(player, round < 0 ? "warm-up" : `round ${round + 1}`);
    }
  }
  for (const player of players) {
    await player.play(async (process) => {
      const { peakBytes, linearBytes } = await process.memory();
      Object.assign(player, { peakBytes, linearBytes });
    });
  }
}

function progress({ seat, times, failure }: Player, what: string): void {
  const last = (values: readonly number[]) => values.at(-1)?.toFixed(2) ?? "-";
  const { load, decode, prefill } = times;
  const text = failure ? "failed" : `load ${last(load)} decode ${last(decode)} prefill ${last(prefill)} ms`;
  console.error(`  ${what.padEnd(8)} ${seat.peer}/${seat.threads}: ${text}`);
}
