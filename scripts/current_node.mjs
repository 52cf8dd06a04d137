// Prints the path of a current Node, out of the npm package that carries its binary (npx keeps what it has
// downloaded). It is no dependency: linked into node_modules/.bin it would take the place of `node` in scripts.
import { spawnSync } from "node:child_process";

const VERSION = "26.10.0";
const platform = process.platform === "win32" ? "win" : process.platform;
const packageName = `node-${platform}-${process.arch}@${VERSION}`;

const { status, stdout, stderr, error } = spawnSync(
  "npx",
  ["-y", `--package=${packageName}`, "-c", "node -p process.execPath"],
  { encoding: "utf8", timeout: 300_000 },
);
if (status !== 0) {
  console.error(`Cannot get ${packageName}: ${error?.message ?? stderr}`);
  process.exit(1);
}
console.log(stdout.trim().split("\n").at(-1));
