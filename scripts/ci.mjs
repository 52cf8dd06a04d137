// Runs every check and test one after the other, counts what passed and failed, and fails loudly.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const bin = (name) => `${root}node_modules/.bin/${name}`;
const LIMIT_MS = 20 * 60 * 1000;

// A step without `count` counts as one; test runners say themselves how many passed and failed.
const steps = [
  {
    name: "kernels: generated files are up to date, each module within its size",
    run: ["node", "scripts/build.mjs", "--check"],
  },
  { name: "types of src/, tests/ and bench/", run: [bin("tsc"), "-p", "tsconfig.json"] },
  { name: "types of assembly/", run: [bin("tsc"), "-p", "assembly/tsconfig.json"] },
  { name: "lint and format", run: [bin("biome"), "check", "."] },
  {
    name: "types as Deno sees them",
    run: [bin("deno"), "check", "src/mod.ts", "src/cli/main.ts", "examples/deno/generate.ts"],
  },
  {
    name: "the package: exports, JSR, files and versions agree, sizes are within their limits",
    run: ["node", "scripts/package_check.mjs"],
  },
  { name: "tests in Bun", run: ["npx", "-y", "bun", "run", "test"], count: countBun },
  { name: "tests in Deno", run: [bin("deno"), "test", "-A", "--no-check", "tests/"], count: countDeno },
  {
    name: "the README's first command",
    run: ["npx", "-y", "bun", "run", "generate", "Once upon a time", "--max-tokens", "40"],
    expect: /^Once upon a time.{40,}/s,
  },
];

function countBun(output) {
  const last = (pattern) => Number(output.match(pattern)?.at(-1)?.match(/\d+/)?.[0] ?? 0);
  return { passed: last(/^ *\d+ pass$/gm), failed: last(/^ *\d+ fail$/gm) };
}

function countDeno(output) {
  // "ok | 10 passed (200 steps) | 0 failed (0 steps)": steps are the tests, the rest are their groups.
  const line = output.match(/\| (\d+) passed(?: \((\d+) steps?\))? \| (\d+) failed(?: \((\d+) steps?\))?/);
  return { passed: Number(line?.[2] ?? line?.[1] ?? 0), failed: Number(line?.[4] ?? line?.[3] ?? 0) };
}

function run([command, ...args]) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, NO_COLOR: "1" },
    });
    const timer = setTimeout(() => child.kill("SIGKILL"), LIMIT_MS);
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

let passed = 0;
let failed = 0;
const broken = [];
for (const step of steps) {
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
