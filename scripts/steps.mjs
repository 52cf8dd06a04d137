// The one list of checks and tests: `bun run ok` runs the steps before a commit, continuous integration all of them.
import { fileURLToPath } from "node:url";

/** The repository, with a slash at the end. */
export const root = fileURLToPath(new URL("..", import.meta.url));

const bin = (name) => `${root}node_modules/.bin/${name}`;

const bunTest = ["npx", "-y", "bun", "test", "--timeout", "120000"];

/**
 * Tests that start other programs: Node, bundlers, Chromium, workerd, and Bun and Deno themselves. Whoever starts those, they
 * do the same. Therefore only Bun runs these tests here; Deno can.
 */
export const startingOthers = [
  "tests/package",
  "tests/runtime/chromium",
  "tests/runtime/workerd",
  "tests/docs",
];

/**
 * Two steps run at the same time, in this order: what takes longest comes last. Therefore no step may write what another
 * reads, listen at a port of its choice, or need all cores. A step counts as one check, unless `count` reads from its output
 * how many tests passed and failed. `expect` is what its standard output must look like. Steps with `onlyInCI` are left out of
 * `bun run ok`.
 */
export const steps = [
  {
    // npx cannot download one package twice at the same time: both suites find it in its cache.
    name: "a current Node, which tests of the package run",
    run: ["node", "scripts/current_node.mjs"],
    onlyInCI: true,
  },
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
    onlyInCI: true,
  },
  {
    name: "fixtures are what scripts/fixtures.ts writes",
    run: ["npx", "-y", "bun", "scripts/fixtures.ts", "--check"],
    onlyInCI: true,
  },
  {
    name: "the package: exports, JSR, files and versions agree, sizes are within their limits",
    run: ["node", "scripts/package_check.mjs"],
    onlyInCI: true,
  },
  {
    name: "the README's first command",
    run: ["npx", "-y", "bun", "run", "generate", "Once upon a time", "--max-tokens", "40"],
    expect: /^Once upon a time.{40,}/s,
    onlyInCI: true,
  },
  {
    name: "eight users of a server for a minute: no stream is lost, answers stay the same, memory does not grow",
    run: ["npx", "-y", "bun", "scripts/soak.ts", "--minutes", "1"],
    onlyInCI: true,
  },
  {
    name: "tests in Bun",
    run: [...bunTest, "./tests", ...startingOthers.map((folder) => `--path-ignore-patterns=${folder}/**`)],
    count: countBun,
  },
  {
    name: "tests in Deno",
    run: [bin("deno"), "test", "-A", "--no-check", `--ignore=${startingOthers}`, "tests/"],
    count: countDeno,
    onlyInCI: true,
  },
  ...startingOthers.map((folder) => ({
    name: `${folder}, in Bun`,
    run: [...bunTest, `./${folder}`],
    count: countBun,
  })),
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
