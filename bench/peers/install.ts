// Installs what the peers need: their packages, a browser, and bundles of the adapters.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL(".", import.meta.url));
const bin = fileURLToPath(new URL("../../node_modules/.bin/", import.meta.url));

/** Folder of the bundled adapters. Under the packages, so that Node finds them. */
export const builtFolder: string = `${folder}build/`;

/** Where Debian puts Chromium; CHROMIUM names another. */
export const chromiumPath: string = process.env.CHROMIUM ?? "/usr/bin/chromium";

/** Versions that package.json names. */
export const peerVersions: Readonly<Record<string, string>> = JSON.parse(
  readFileSync(`${folder}package.json`, "utf8"),
).dependencies;

/** The program of a development dependency, or what PATH has. */
export function program(name: string): string {
  return existsSync(bin + name) ? bin + name : name;
}

function run(command: string, args: readonly string[]): void {
  console.error(`${command} ${args.join(" ")}`);
  execFileSync(command, args, { cwd: folder, stdio: ["ignore", "ignore", "inherit"] });
}

function installed(name: string): boolean {
  try {
    const require = createRequire(`${folder}package.json`);
    const file = require.resolve.paths(name)?.[0];
    const text = readFileSync(`${file}/${name}/package.json`, "utf8");
    return JSON.parse(text).version === peerVersions[name];
  } catch {
    return false;
  }
}

/** Installs the packages that package.json names, where they are not there yet. */
export function installPackages(): void {
  if (Object.keys(peerVersions).every(installed)) return;
  // The optional packages are builds for GPUs, half a gigabyte; the scripts would compile.
  run(program("bun"), ["install", "--frozen-lockfile", "--omit=optional", "--ignore-scripts"]);
}

function onPath(name: string): boolean {
  return (process.env.PATH ?? "").split(delimiter).some((folder) => existsSync(`${folder}/${name}`));
}

/** Why there is no Chromium, undefined where there is one. Installs Debian's where that is possible. */
export function installChromium(): string | undefined {
  if (existsSync(chromiumPath)) return undefined;
  if (!onPath("apt-get") || process.getuid?.() !== 0) {
    return `${chromiumPath} is absent, and only root can install it with apt-get; CHROMIUM may name another`;
  }
  try {
    run("apt-get", ["update"]);
    run("apt-get", ["install", "-y", "--no-install-recommends", "chromium"]);
  } catch (error) {
    return `apt-get cannot install chromium: ${(error as Error).message}`;
  }
  return existsSync(chromiumPath) ? undefined : `apt-get installed no ${chromiumPath}`;
}

function bundle(name: string, target: "node" | "browser", ...options: string[]): void {
  const args = [`adapters/${name}.ts`, "--target", target, `--outfile=${builtFolder}${name}.js`, ...options];
  run(program("bun"), ["build", ...args]);
}

/** Installs packages and bundles the adapters that do not run from their sources. */
export function install(): void {
  installPackages();
  mkdirSync(builtFolder, { recursive: true });
  bundle("native", "node", "--packages=external");
  bundle("chromium", "node", "--packages=external");
  bundle("cria_page", "browser");
  bundle("cria_worker", "browser");
  bundle("wllama_page", "browser");
  // The package finds its workers and its kernels beside its own script, so that it is served as it is.
  bundle("fugood_page", "browser", "--external=@fugood/node-llama-wasm");
}
