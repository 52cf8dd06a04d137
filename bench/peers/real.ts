// Measures the real model of scripts/real_model.mjs: cria beside native llama.cpp, in turns, with two threads. Writes
// bench/results/real.json: `bun bench/peers/real.ts [ROUNDS]`.
import { writeFileSync } from "node:fs";
import process from "node:process";
import { machine } from "../machine.ts";
import { median, significant } from "../report.ts";
import { install, installChromium } from "./install.ts";
import { inRealTime, type PeerName, PeerProcess } from "./peer_process.ts";

const { realModel } = await import(new URL("../../scripts/real_model.mjs", import.meta.url).href);
const { path, reason } = (await realModel()) as { path: string; reason?: string };
if (reason) {
  console.error(reason);
  process.exit(1);
}

const ROUNDS = Number(process.argv[2] ?? 5);
const PEERS: readonly PeerName[] = ["native", "bun", "deno", "chromium"];
const REQUEST = { file: path, threads: 2, contextLength: 1024, kv: "f16", f32: false } as const;
/** Ids of the prompt whose first token is waited for from the start of the process. */
const FIRST = 8;
const PREFILL = 256;
const DECODE = 24;
const POSITION = 64;

interface Times {
  readonly firstTokenMs: number[];
  readonly prefillMs: number[];
  readonly decodeMs: number[];
  peakBytes: number | undefined;
}

/** Starts a peer, which is cold then, and measures it once. */
async function measure(peer: PeerName, times: Times): Promise<string> {
  const begin = performance.now();
  const child = new PeerProcess(peer);
  try {
    await child.load(REQUEST);
    await child.prefill(FIRST);
    times.firstTokenMs.push(performance.now() - begin);
    await child.prefill(PREFILL);
    times.prefillMs.push((await child.prefill(PREFILL)) / PREFILL);
    await child.decode(DECODE, POSITION);
    times.decodeMs.push(await child.decode(DECODE, POSITION));
    times.peakBytes = (await child.memory()).peakBytes;
    return await child.about();
  } finally {
    await child.end();
  }
}

install();
const chromiumMissing = installChromium();
const peers = PEERS.filter((peer) => peer !== "chromium" || !chromiumMissing);
const all = new Map(
  peers.map((peer): [PeerName, Times] => [
    peer,
    { firstTokenMs: [], prefillMs: [], decodeMs: [], peakBytes: undefined },
  ]),
);
const versions: Record<string, string> = {};
for (let round = 0; round < ROUNDS; round++) {
  for (const [peer, times] of all) versions[peer] = await measure(peer, times);
}

const native = all.get("native") as Times;
const rows = [...all].map(([peer, times]) => {
  const [decodeMs, prefillMs] = [median(times.decodeMs), median(times.prefillMs)];
  return {
    peer,
    decodeTps: significant(1000 / decodeMs, 3),
    prefillTps: significant(1000 / prefillMs, 3),
    decodeOfNative: significant(median(native.decodeMs) / decodeMs, 3),
    prefillOfNative: significant(median(native.prefillMs) / prefillMs, 3),
    firstTokenMs: significant(median(times.firstTokenMs), 3),
    peakMb: times.peakBytes && significant(times.peakBytes / 1e6, 3),
  };
});
console.table(rows);
const result = { suite: "real", machine: machine(), inRealTime, versions, rounds: ROUNDS, rows };
const target = new URL("../results/real.json", import.meta.url);
writeFileSync(target, `${JSON.stringify({ ...result, samples: Object.fromEntries(all) }, undefined, 2)}\n`);
