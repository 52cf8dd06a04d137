// Runs the steps of scripts/steps.mjs, two at a time, counts what passed and failed, and fails loudly. With `--local` it
// leaves out those that only continuous integration runs. The last line is "N passed, N failed".
import { spawn } from "node:child_process";
import { root, steps } from "./steps.mjs";

/** Steps that run at the same time. Tests have one thread most of the time: two suites take little longer than one. */
const LANES = 2;

const STEP_LIMIT_MS = 26 * 60 * 1000;

/** Of all steps together: whatever is left then fails, so that a hanging step does not hide the result. */
const TOTAL_LIMIT_MS = 29 * 60 * 1000;

/** How often a line says what is running. The output of a step comes in one piece, when it ends. */
const HEARTBEAT_MS = 30 * 1000;

const start = Date.now();
const secondsSince = (time) => ((Date.now() - time) / 1000).toFixed(1);

/** What is running: its process, when it began, and its output so far. */
const running = new Set();

function kill({ child }) {
  // The step and all that it started: npx and `bun run` start others.
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // It has ended.
  }
}

function run({ name, run: [command, ...args] }) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, NO_COLOR: "1" },
    });
    const job = { name, child, begin: Date.now(), stdout: "", output: "" };
    running.add(job);
    const left = Math.max(TOTAL_LIMIT_MS - (Date.now() - start), 1000);
    const limit = Math.min(STEP_LIMIT_MS, left);
    const timer = setTimeout(() => {
      job.output += `\nKilled after ${secondsSince(job.begin)} s.\n`;
      kill(job);
    }, limit);
    const end = (status) => {
      clearTimeout(timer);
      running.delete(job);
      resolve({ ...job, status });
    };
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8");
    child.stdout.on("data", (chunk) => {
      job.stdout += chunk;
      job.output += chunk;
    });
    child.stderr.on("data", (chunk) => {
      job.output += chunk;
    });
    child.on("error", (error) => {
      job.output += `\n${error}\n`;
      end(1);
    });
    child.on("close", end);
  });
}

function sayWhatRuns() {
  const lines = [...running].map(({ name, begin, output }) => {
    const last = output.trimEnd().split("\n").at(-1).trim().slice(0, 100);
    return `${name} (${secondsSince(begin)} s, at "${last}")`;
  });
  console.log(`... ${secondsSince(start)} s: ${lines.join("; ")}`);
}

const isLocal = process.argv.includes("--local");

/** Lines at the end of the output for each step that failed, as whoever sees only the end wants to know what to run. */
const LINES_OF_FAILURE = 12;

/** What a step's output says of its failures: each failed test with what precedes it, or the last lines. */
function failuresOf(output) {
  const lines = output.trimEnd().split("\n");
  const said = lines.filter((line) =>
    /^\(fail\)|^\s*error:|^error|\.\.\. .*FAILED|✗|×|^Killed after/.test(line),
  );
  return (said.length > 0 ? said : lines).slice(-LINES_OF_FAILURE);
}

const queue = steps.filter(({ onlyInCI }) => !(isLocal && onlyInCI));
let passed = 0;
let failed = 0;
const broken = [];

/** Runs steps until there are none left. */
async function lane() {
  for (let step = queue.shift(); step; step = queue.shift()) {
    const { begin, status, stdout, output } = await run(step);
    const right = status === 0 && (step.expect?.test(stdout) ?? true);
    const count = step.count?.(output) ?? { passed: right ? 1 : 0, failed: 0 };
    // A runner that fails without a failed test (a crash, no test at all) is a failure too.
    if ((!right || count.passed === 0) && count.failed === 0) count.failed = 1;
    passed += count.passed;
    failed += count.failed;
    if (count.failed > 0) broken.push({ name: step.name, lines: failuresOf(output) });
    console.log(`\n=== ${step.name}\n${output.trimEnd()}`);
    console.log(`--- ${count.passed} passed, ${count.failed} failed (${secondsSince(begin)} s)`);
  }
}

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => {
    // Steps are process groups of their own: nobody else ends them.
    for (const job of running) kill(job);
    console.log(`\n${signal} after ${secondsSince(start)} s`);
    process.exit(1);
  });
}
const heartbeat = setInterval(sayWhatRuns, HEARTBEAT_MS);
await Promise.all(Array.from({ length: LANES }, lane));
clearInterval(heartbeat);
for (const { name, lines } of broken) console.log([`FAILED: ${name}`, ...lines].join("\n  "));
process.exitCode = failed > 0 ? 1 : 0;
console.log(`all steps: ${secondsSince(start)} s`);
console.log(`${passed} passed, ${failed} failed`);
