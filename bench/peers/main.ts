// Measures cria and its peers in one run: `bun run bench:peers`.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Bandwidth, type Machine, machine } from "../machine.ts";
import { kindOf, processorName, processorSlug } from "../processor.ts";
import { significant } from "../report.ts";
import { synthModel } from "../synth.ts";
import { chart } from "./chart.ts";
import { fileGroup, type Group, groups } from "./groups.ts";
import { install, installChromium, peerVersions } from "./install.ts";
import { inBrowser, inRealTime, type PeerName, peerNames } from "./peer_process.ts";
import { resultsFolder, writePage } from "./performance_page.ts";
import { measureQuality } from "./quality.ts";
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
import { merged, type Stored } from "./stored.ts";

const thorough: Effort = { rounds: 9, prefills: 5, slowRounds: 1, loads: true, tokens: 1 };
const quick: Effort = { rounds: 1, prefills: 1, slowRounds: 1, loads: false, tokens: 0.25 };

const METHOD =
  "One run; groups in `parts` were measured later, in runs of their own. The peers of a group load the same file, each into a process of its own that stays. They take turns: one " +
  "computes at a time, and each round begins with another one. The first round is a warm-up and is not counted. " +
  "(llama.cpp's WebAssembly builds are compiled ahead, so they warm up by decoding only.) Values are medians of the " +
  "rounds. A ratio is the median of the rounds' ratios, because the machine's speed drifts between rounds. " +
  "decode: greedy, one token in a step, after a prompt of 128 tokens; the time of a turn is the median of its tokens. " +
  "prefill: 128 tokens into an empty context, with the logits of the last. " +
  "load: the file is in the operating system's cache; tokenizer, KV cache and compute threads are included; each load is " +
  "in a new process, and the first is not counted. " +
  "memory: the most resident bytes of the process (VmHWM), runtime included; in Chromium those of the page's renderer. " +
  "Resident memory beyond the empty runtime's is without those of the process before it loads. Linear memory is what cria " +
  "allocates. Weights in the file are the bytes of its tensors. " +
  "Every peer has real-time scheduling (chrt) if that is allowed, so other programs do not disturb it. " +
  "native: llama.cpp's own batches through node-llama-cpp's prebuilt addon, with one thread in Node's pool, which is its " +
  "fastest setting; it chooses flash attention itself, and it is on with q8 KV; it maps the file, so its first tokens, which " +
  "are warm-up, also read the file. " +
  "wllama: one slot; it chooses flash attention itself; times are those that its server reports, for a turn the mean of its " +
  "tokens. " +
  "node-llama-wasm: @fugood/node-llama-wasm in an isolated page, its build with Memory64 and threads in its own worker; " +
  "flash attention is on (the default is off, which is slower with prompts); batches of 512; no sampling penalty; two " +
  "threads, because a third waits for a core; times are those that it reports, for a turn the mean of its tokens. " +
  "position 4,000: llama.cpp computes the prompt; cria computes 512 positions and copies their pages to the others, which " +
  "are as many bytes to read. " +
  "only reading: threads that read as many bytes as the weights of a token, and compute nothing. " +
  "otherCores: cores that are busy in the pauses between turns, when every peer is idle. " +
  "nll: of held-out text in windows of 256 tokens, with one thread. Weights are random except for stories260K.";

// The machine counts as quiet if others keep at most so many cores busy.
const QUIET = 0.1;

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

const USAGE = `Options:
  --rows NAMES   measure only these groups of rows, and write no result files; separated by commas: ${groups.map(({ name }) => name).join(", ")}
  --save         with --rows: put these rows into this processor's result file, and keep the others
  --file PATH    measure decode and prefill of this GGUF file, and write no result files
  --threads N    measure only with so many threads, and write no result files
  --peers NAMES  measure only these peers, and write no result files; separated by commas: ${peerNames.join(", ")}
  --rounds N     rounds of decoding (default ${thorough.rounds}; at most ${thorough.prefills} of them with prefill, and ${thorough.slowRounds} for wllama and fugood with large models)
  --quick        take one round with fewer tokens, and write no result files
  --trial        use small models for every group, to test the peers; implies --quick
Set CRIA_NO_REALTIME=1 to run without real-time scheduling, if others need the machine meanwhile.`;

interface Options {
  readonly groups: readonly Group[];
  readonly peers: readonly PeerName[];
  readonly effort: Effort;
  /** Whether results are kept: all of them, those of some groups, or none. */
  readonly save: "all" | "some" | "none";
}

// A group with a small model. llama.cpp's q8 KV needs heads of 64; the smallest model has smaller ones.
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
      save: { type: "boolean", default: false },
      file: { type: "string" },
      threads: { type: "string" },
    },
  });
  const rounds = Number(values.rounds);
  if (!Number.isSafeInteger(rounds) || rounds < 1)
    throw new Error(`Expected --rounds of 1 or more, got ${values.rounds}`);
  const peers = values.peers.split(",").map((name) => {
    const peer = peerNames.find((peer) => peer === name);
    if (!peer) throw new Error(`Cannot measure peer ${name}: Expected ${peerNames.join(", ")}`);
    return peer;
  });
  const brief = values.quick || values.trial;
  const chosen = values.file === undefined ? chooseGroups(groups, values.rows) : [fileGroup(values.file)];
  const threads = values.threads === undefined ? undefined : Number(values.threads);
  // Rows that lack peers or threads must not replace whole ones, and a part of the table must not replace the table.
  const whole = !brief && !values.file && threads === undefined && peers.length === peerNames.length;
  const part = values.rows === undefined ? "all" : values.save ? "some" : "none";
  return {
    groups: values.trial ? chosen.map(trial) : chosen,
    peers,
    effort: { ...(brief ? quick : { ...thorough, rounds }), threads },
    save: whole ? part : "none",
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
  keep: Options["save"],
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
    console.log("The machine was not quiet. Two threads then wait for each other, and are slower.\n");
  console.log(`${medianTable(values)}\n\n${ratioTable(rows)}\n`);
  for (const line of skipped) console.log(`skipped: ${line}`);
  if (keep === "none") return;
  const result: Stored = {
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
  const old = new URL(`${name}.json`, resultsFolder);
  const kept =
    keep === "some" && existsSync(old) ? merged(JSON.parse(readFileSync(old, "utf8")), result) : result;
  save(`${name}.json`, `${JSON.stringify(kept, null, 2)}\n`);
  save(`${name}.svg`, chart(kept.medians));
  writePage();
}

async function main({ groups: chosen, peers: wanted, effort, save: keep }: Options): Promise<void> {
  const skipped: string[] = [];
  if (!inRealTime)
    skipped.push(
      "real-time scheduling: chrt is absent or switched off, which makes native slower with small models",
    );
  install();
  const peers = available(wanted, skipped);
  const where = machine();
  const bandwidth = new Bandwidth();
  const all: GroupTimes[] = [];
  for (const group of chosen) {
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
  // Texts are scored if all rows are measured.
  const quality = chosen.length === groups.length ? await measureQuality(peers, skipped) : [];
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
