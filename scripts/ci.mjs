// Runs the steps of scripts/steps.mjs one after the other, counts what passed and failed, and fails loudly. With
// `--local` it leaves out those that only continuous integration runs. The last line is "N passed, N failed".
import { spawn } from "node:child_process";
import { root, steps } from "./steps.mjs";

const STEP_LIMIT_MS = 20 * 60 * 1000;

/** Of all steps together: whatever is left then fails, so that a hanging step does not hide the result. */
const TOTAL_LIMIT_MS = 29 * 60 * 1000;

const start = Date.now();

function run([command, ...args]) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, NO_COLOR: "1" },
    });
    const left = Math.max(TOTAL_LIMIT_MS - (Date.now() - start), 1000);
    const timer = setTimeout(() => child.kill("SIGKILL"), Math.min(STEP_LIMIT_MS, left));
    let stdout = "";
    let output = "";
    child.stdout.on("data", (chunk) => {
      stdout += chunk;
      output += chunk;
      process.stdout.write(chunk);
    });
    child.stderr.on("data", (chunk) => {
      output += chunk;
      process.stdout.write(chunk);
    });
    child.on("error", (error) => resolve({ status: 1, stdout, output: `${output}\n${error}` }));
    child.on("close", (status) => {
      clearTimeout(timer);
      resolve({ status, stdout, output });
    });
  });
}

const isLocal = process.argv.includes("--local");
let passed = 0;
let failed = 0;
const broken = [];
for (const step of steps) {
  if (isLocal && step.onlyInCI) continue;
  console.log(`\n=== ${step.name}`);
  const begin = Date.now();
  const { status, stdout, output } = await run(step.run);
  const right = status === 0 && (step.expect?.test(stdout) ?? true);
  const count = step.count?.(output) ?? { passed: right ? 1 : 0, failed: 0 };
  // A runner that fails without a failed test (a crash, no test at all) is a failure too.
  if ((!right || count.passed === 0) && count.failed === 0) count.failed = 1;
  passed += count.passed;
  failed += count.failed;
  if (count.failed > 0) broken.push(step.name);
  console.log(
    `--- ${count.passed} passed, ${count.failed} failed (${((Date.now() - begin) / 1000).toFixed(1)} s)`,
  );
}
for (const name of broken) console.log(`FAILED: ${name}`);
process.exitCode = failed > 0 ? 1 : 0;
console.log(`${passed} passed, ${failed} failed`);
