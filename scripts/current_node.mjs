// Prints the path of a current Node, from the npm package that contains its binary (npx caches the download). The package is
// not a dependency, because its link in node_modules/.bin would replace `node` in scripts.
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
