// Users of a server for a long time: no stream is lost, answers stay the same, memory does not grow, no slot stays busy.
//   bun scripts/soak.ts [--minutes 60] [--users 8] [--model FILE] [--node dist/cli.js]   (or deno run -A scripts/soak.ts)
// Exits with 1 and says why if something was not right.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "60" },
    users: { type: "string", default: "8" },
    model: { type: "string" },
    node: { type: "string" },
  },
});

const root = fileURLToPath(new URL("..", import.meta.url));
const main = `${root}src/cli/main.ts`;
// The server runs in the runtime of this script, or in Node.
const deno = "deno" in process.versions ? ["run", "-A", "--quiet", "--config", `${root}deno.json`] : [];
const program = values.node ? "node" : process.execPath;
const start = values.node ? [values.node] : [...deno, main];
// A small cache: it is full after a tenth of the time.
const flags = [
  "serve",
  "--port",
  "0",
  "--prefix-cache",
  "16M",
  ...(values.model ? ["--model", values.model] : []),
];
const server = spawn(program, [...start, ...flags], { stdio: ["ignore", "pipe", "inherit"] });
const url = await new Promise<string>((resolve, reject) => {
  server.stdout.on("data", (chunk) => resolve(/http:\S+/.exec(String(chunk))?.[0] as string));
  server.on("exit", (status) => reject(new Error(`The server ended with ${status}`)));
});
while ((await fetch(`${url}/health`)).status !== 200)
  await new Promise((resolve) => setTimeout(resolve, 100));

const end = Date.now() + Number(values.minutes) * 60_000;
const problems: string[] = [];
const answers = new Map<string, string>();
const counts = { whole: 0, streamed: 0, aborted: 0, refused: 0 };

/** A request of few kinds, so that each comes again: its answer must be the one that it was. */
function request(): Record<string, unknown> {
  const pick = (n: number) => Math.floor(Math.random() * n);
  const name = ["Rex", "Lily", "Tom", "Mia"][pick(4)];
  return {
    messages: [{ role: "user", content: `Tell me a story about ${name}.` }],
    seed: pick(5),
    max_tokens: 20 + 40 * pick(4),
    n: 1 + pick(2),
    ...(pick(2) === 0 && { stop: ["\n", " the end"] }),
    ...(pick(4) === 0 && { logprobs: true, top_logprobs: 3 }),
  };
}

function check(body: object, texts: readonly string[]): void {
  const key = JSON.stringify(body);
  const text = JSON.stringify(texts);
  const before = answers.get(key);
  if (before !== undefined && before !== text) problems.push(`${key} was ${before} and is ${text}`);
  answers.set(key, text);
}

// biome-ignore lint/suspicious/noExplicitAny: answers of several kinds
type Answer = any;

async function whole(body: Record<string, unknown>, response: Response): Promise<void> {
  const { choices } = (await response.json()) as Answer;
  check(
    body,
    choices.map(({ message }: Answer) => message.content),
  );
  counts.whole++;
}

async function streamed(body: Record<string, unknown>, response: Response): Promise<void> {
  const blocks = (await response.text()).trimEnd().split("\n\n");
  if (blocks.pop() !== "data: [DONE]") problems.push(`lost: ${JSON.stringify(body)}`);
  const texts = Array.from({ length: body.n as number }, () => "");
  for (const block of blocks) {
    if (!block.startsWith("data: ")) continue;
    for (const { index, delta } of JSON.parse(block.slice(6)).choices) texts[index] += delta.content ?? "";
  }
  check(body, texts);
  counts.streamed++;
}

// An answer takes seconds. One that takes longer than this hangs.
const LONGEST_MS = 120_000;

async function user(): Promise<void> {
  while (Date.now() < end && problems.length === 0) {
    const body = request();
    const stream = Math.random() < 0.6;
    const controller = new AbortController();
    const leaves = Math.random() < 0.15;
    if (leaves) setTimeout(() => controller.abort(), Math.random() * 300);
    try {
      const response = await fetch(`${url}/v1/chat/completions`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ ...body, stream }),
        signal: AbortSignal.any([controller.signal, AbortSignal.timeout(LONGEST_MS)]),
      });
      if (response.status === 429) {
        counts.refused++;
        await response.text();
        await new Promise((resolve) => setTimeout(resolve, 1000));
      } else if (response.status !== 200) problems.push(`${response.status}: ${await response.text()}`);
      else await (stream ? streamed(body, response) : whole(body, response));
    } catch (error) {
      if (controller.signal.aborted) counts.aborted++;
      else problems.push(`${error}: ${JSON.stringify(body)}`);
    }
  }
}

function memory(): number {
  try {
    const [, kilobytes] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${server.pid}/status`, "utf8")) ?? [];
    return Number(kilobytes) / 1024;
  } catch {
    return Number.NaN;
  }
}

const users = Array.from({ length: Number(values.users) }, user);
// Caches and machine code have their size after a tenth of the time.
const early = new Promise<number>((resolve) => setTimeout(() => resolve(memory()), (end - Date.now()) / 10));
const [before] = await Promise.all([early, ...users]);
await new Promise((resolve) => setTimeout(resolve, 1000));
const after = memory();
const slots = (await (await fetch(`${url}/slots`)).json()) as { is_processing: boolean }[];
const open = slots.filter(({ is_processing }) => is_processing).length;
if (open > 0) problems.push(`${open} slots stay busy`);
const MOST_GROWTH_MB = 64;
if (Number.isNaN(after - before)) console.error("memory was not measured: /proc is absent");
if (after - before > MOST_GROWTH_MB) problems.push(`memory grew from ${before} to ${after} MB`);
// Deno would take the signal itself for how the process ended.
process.kill(server.pid as number, "SIGTERM");
const status = await new Promise((resolve) => server.once("exit", resolve));
if (status !== 0) problems.push(`the server ended with ${status}`);
console.log(
  JSON.stringify({
    ...counts,
    requests: answers.size,
    beforeMb: Math.round(before),
    afterMb: Math.round(after),
  }),
);
for (const problem of problems.slice(0, 20)) console.error(`PROBLEM: ${problem}`);
process.exit(problems.length > 0 ? 1 : 0);
