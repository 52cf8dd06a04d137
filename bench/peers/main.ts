// cria beside its peers, in one run: `bun run bench:peers`.
import { mkdirSync, writeFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Bandwidth, type Machine, machine } from "../machine.ts";
import { kindOf, processorName, processorSlug } from "../processor.ts";
import { significant } from "../report.ts";
import { synthModel } from "../synth.ts";
import { chart } from "./chart.ts";
import { type Group, groups } from "./groups.ts";
import { install, installChromium, peerVersions } from "./install.ts";
import { inBrowser, inRealTime, type PeerName, peerNames } from "./peer_process.ts";
import { measureQuality } from "./quality.ts";
import { resultsFolder, writeReadme } from "./readme.ts";
import {
  chooseGroups,
  medians,
  medianTable,
  type Quality,
  qualityRows,
  ratioTable,
  rowResults,
} from "./results.ts";
import { type Effort, type GroupTimes, runGroup } from "./run.ts";

const thorough: Effort = { rounds: 9, prefills: 5, slowRounds: 1, loads: true, tokens: 1 };
const quick: Effort = { rounds: 1, prefills: 1, slowRounds: 1, loads: false, tokens: 0.25 };

const METHOD =
  "One run. The peers of a group load the same file into processes of their own, which stay; they take turns, " +
  "one computes at a time, and each round begins with another one. A round of warm-up comes first and is not " +
  "counted (llama.cpp's WebAssembly builds, whose code is compiled ahead, warm up by decoding only). Values are medians of the rounds; " +
  "a ratio is the median of the rounds' ratios, since the machine's speed drifts between rounds. " +
  "decode: greedy, one token in a step, after a prompt of 128 tokens; a turn's time is the median of its tokens. prefill: 128 tokens into an empty context, " +
  "logits of the last. load: the file lies in the operating system's cache, tokenizer, KV cache and compute " +
  "threads included; each time in a new process, the first one not counted. memory: the most resident bytes of the process (VmHWM), " +
  "runtime included. native: llama.cpp's own batches through node-llama-cpp's addon, prebuilt, flash attention " +
  "left to it, on with q8 KV; at its best with one thread in Node's pool; it maps the file, so that its first " +
  "tokens pay for reading it (they are warm-up). Every peer has real-time scheduling (chrt) where that is " +
  "allowed: what else the machine does then disturbs none. wllama: " +
  "one slot, flash attention left to it, the times that its server takes, a turn's the mean of its tokens. " +
  "node-llama-wasm: @fugood/node-llama-wasm in an isolated page, its build with Memory64 and threads in its own worker, " +
  "flash attention on (off by default, and then slower with prompts), batches of 512, no penalty to sample with, " +
  "two threads (a third waits for a core), the times that it takes itself, a turn's the mean of its tokens. " +
  "position 4,000: llama.cpp computes the prompt; cria computes 512 positions and copies their pages to the " +
  "rest, the same bytes to read. only reading: threads that read as many bytes as the weights of a token, and " +
  "compute nothing. Weights are random except for stories260K. otherCores: cores that work " +
  "in the pauses between turns, when every peer is idle. nll: of held-out text in windows of 256 tokens, with one " +
  "thread.";

// Cores that may be busy with something else.
const QUIET = 0.1;

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

const USAGE = `Options:
  --rows NAMES   groups of rows, with commas, and no result files: ${groups.map(({ name }) => name).join(", ")}
  --peers NAMES  only these peers, with commas, and no result files: ${peerNames.join(", ")}
  --rounds N     turns of decoding of every peer (default ${thorough.rounds}; prefill at most ${thorough.prefills}, ${thorough.slowRounds} of wllama and fugood with large models)
  --quick        one turn, fewer tokens, and no result files
  --trial        small models for every group, as a test of the peers; implies --quick
CRIA_NO_REALTIME=1 in the environment leaves out real-time scheduling, on a machine that others need meanwhile.`;

interface Options {
  readonly groups: readonly Group[];
  readonly peers: readonly PeerName[];
  readonly effort: Effort;
  readonly save: boolean;
}

// The same groups with small models. llama.cpp's q8 KV needs heads of 64, which the smallest has not.
function trial(group: Group): Group {
  if (group.f32) return group;
  const file = () => synthModel("q8_0", group.kv === "q8" ? "stories110m" : "stories15m");
  const { tokens } = group.decode;
  return { ...group, file, contextLength: 512, decode: { tokens, position: 128 } };
}

function parse(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rows: { type: "string" },
      peers: { type: "string", default: peerNames.join(",") },
      rounds: { type: "string", default: String(thorough.rounds) },
      quick: { type: "boolean", default: false },
      trial: { type: "boolean", default: false },
    },
  });
  const rounds = Number(values.rounds);
  if (!Number.isSafeInteger(rounds) || rounds < 1) throw new Error("Expected --rounds of 1 or more");
  const peers = values.peers.split(",").map((name) => {
    const peer = peerNames.find((peer) => peer === name);
    if (!peer) throw new Error(`Unknown peer ${name}: Expected ${peerNames.join(", ")}`);
    return peer;
  });
  const brief = values.quick || values.trial;
  const chosen = chooseGroups(groups, values.rows);
  return {
    groups: values.trial ? chosen.map(trial) : chosen,
    peers,
    effort: brief ? quick : { ...thorough, rounds },
    // A part of the table does not replace the whole.
    save: !brief && values.rows === undefined && peers.length === peerNames.length,
  };
}

function available(peers: readonly PeerName[], skipped: string[]): readonly PeerName[] {
  const browsers = peers.filter((peer) => inBrowser.has(peer));
  const reason = browsers.length > 0 ? installChromium() : undefined;
  if (reason === undefined) return peers;
  skipped.push(`${browsers.join(" and ")}: ${reason}`);
  return peers.filter((peer) => !inBrowser.has(peer));
}

function save(name: string, text: string): void {
  mkdirSync(resultsFolder, { recursive: true });
  writeFileSync(new URL(name, resultsFolder), text);
  console.log(`written: ${fileURLToPath(new URL(name, resultsFolder))}`);
}

function report(
  all: readonly GroupTimes[],
  quality: readonly Quality[],
  where: Machine,
  bandwidth: Bandwidth,
  skipped: string[],
  keep: boolean,
) {
  const kind = kindOf(where);
  const rows = [...all.flatMap((times) => rowResults(times, kind)), ...qualityRows(quality)];
  const values = all.flatMap(medians);
  const { cores, os, loadAverage, features = [] } = where;
  const { maxGbPerS, medianGbPerS } = bandwidth.summary;
  const others = all.flatMap(({ otherCores }) => otherCores);
  const otherCores = { mean: significant(mean(others), 2), samples: others.length };
  console.log(`\n${processorName(where)}, ${cores} cores, ${os}; load average before the run ${loadAverage}`);
  const targets = kind === "vnni" ? "with AVX-VNNI" : "without AVX-VNNI";
  console.log(`instructions: ${features.join(", ") || "unknown"}; targets of processors ${targets}`);
  console.log(`read bandwidth of one thread ${maxGbPerS} GB/s (median ${medianGbPerS})`);
  console.log(
    `cores that others kept busy meanwhile: ${otherCores.mean} (of ${otherCores.samples} pauses)\n`,
  );
  if (otherCores.mean > QUIET)
    console.log("The machine was not quiet: two threads wait for each other, and lose.\n");
  console.log(`${medianTable(values)}\n\n${ratioTable(rows)}\n`);
  for (const line of skipped) console.log(`skipped: ${line}`);
  if (!keep) return;
  const result = {
    suite: "peers",
    method: METHOD,
    machine: where,
    versions: peerVersions,
    inRealTime,
    bandwidth: bandwidth.summary,
    otherCores,
    medians: values,
    ratios: rows,
    nll: quality,
    samples: all.map(({ group, seats }) => ({
      group: group.name,
      seats: seats.map(({ peer, threads, times }) => ({ peer, threads, ms: times })),
    })),
    skipped,
  };
  const name = processorSlug(where);
  save(`${name}.json`, `${JSON.stringify(result, null, 2)}\n`);
  save(`${name}.svg`, chart(values));
  writeReadme();
}

async function main({ groups, peers: wanted, effort, save: keep }: Options): Promise<void> {
  const skipped: string[] = [];
  if (!inRealTime)
    skipped.push("real-time scheduling: chrt is absent or not wanted; native loses by it with small models");
  install();
  const peers = available(wanted, skipped);
  const where = machine();
  const bandwidth = new Bandwidth();
  const all: GroupTimes[] = [];
  for (const group of groups) {
    const file = group.file();
    if ("missing" in file) {
      skipped.push(`${group.title}: ${file.missing}`);
      continue;
    }
    bandwidth.readBandwidth();
    console.error(group.title);
    const times = await runGroup(group, file.path, peers, effort);
    for (const { peer, threads, failure } of times.seats) {
      if (failure) skipped.push(`${group.title}, ${peer} with ${threads} threads: ${failure.split("\n")[0]}`);
    }
    all.push(times);
    bandwidth.readBandwidth();
  }
  const quality = await measureQuality(peers, skipped);
  report(all, quality, where, bandwidth, skipped, keep);
}

let options: Options | undefined;
try {
  options = parse(process.argv.slice(2));
} catch (error) {
  console.error(`${(error as Error).message}\n${USAGE}`);
  process.exitCode = 2;
}
if (options) await main(options);
