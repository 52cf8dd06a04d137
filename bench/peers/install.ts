// Installs the peers: their packages, a browser, and bundles of the adapters.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL(".", import.meta.url));
const bin = fileURLToPath(new URL("../../node_modules/.bin/", import.meta.url));

/** Folder of the bundled adapters. It is beside node_modules, so Node finds the packages from there. */
export const builtFolder: string = `${folder}build/`;

/** Path of Chromium: Debian's, or the one that CHROMIUM names. */
export const chromiumPath: string = process.env.CHROMIUM ?? "/usr/bin/chromium";

/** Versions that package.json names. */
export const peerVersions: Readonly<Record<string, string>> = JSON.parse(
  readFileSync(`${folder}package.json`, "utf8"),
).dependencies;

/** The program of a development dependency, or its name if there is none (PATH may have it). */
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

/** Installs the packages that package.json names, if they are not installed yet. */
export function installPackages(): void {
  if (Object.keys(peerVersions).every(installed)) return;
  // Optional packages are builds for GPUs, half a gigabyte. Install scripts would compile llama.cpp.
  run(program("bun"), ["install", "--frozen-lockfile", "--omit=optional", "--ignore-scripts"]);
}

function onPath(name: string): boolean {
  return (process.env.PATH ?? "").split(delimiter).some((folder) => existsSync(`${folder}/${name}`));
}

/** Installs Debian's Chromium if there is none. Returns why that failed, or undefined if there is one now. */
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
  // This package looks for its workers and kernels beside its own script, so it is not bundled.
  bundle("fugood_page", "browser", "--external=@fugood/node-llama-wasm");
}
