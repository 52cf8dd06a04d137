// workerd, Cloudflare's runtime, as a process of its own that serves workers of the built package.
import { type ChildProcess, spawn } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after } from "node:test";
import { embeddedName } from "./models.ts";
import { packageFolder, root } from "./package.ts";

/** A running workerd. */
export interface Workerd {
  readonly pid: number;
  /** The addresses of its sockets, by name. */
  readonly urls: Readonly<Record<string, string>>;
}

/** What no test waits for. */
const LIMIT_MS = 60_000;

// The program itself: a script around it would hide its memory.
function program(): string {
  return createRequire(import.meta.url)("workerd").default;
}

// Everything that is started ends with the tests of the first file that imports this, or with the process: files may share
// one, and this module with it.
const temporary = mkdtempSync(join(tmpdir(), "cria-workerd-"));
const running: { readonly child: ChildProcess; readonly ended: Promise<unknown> }[] = [];
after(async () => {
  for (const { child, ended } of running.splice(0)) {
    child.kill("SIGKILL");
    await ended;
  }
});
process.once("exit", () => {
  for (const { child } of running) child.kill("SIGKILL");
  rmSync(temporary, { recursive: true, force: true });
});

/** A folder like the repository's: dist/, models/, examples/workerd/. */
async function repositoryFolder(): Promise<string> {
  const folder = mkdtempSync(join(temporary, "workerd-"));
  const built = await packageFolder();
  for (const name of ["dist", "models"]) symlinkSync(join(built, name), join(folder, name));
  cpSync(join(root, "examples/workerd"), join(folder, "examples/workerd"), { recursive: true });
  return folder;
}

function sockets(child: ChildProcess, names: readonly string[]): Promise<Record<string, string>> {
  return new Promise((resolve, reject) => {
    const urls: Record<string, string> = {};
    let output = "";
    const fail = (why: string) => reject(new Error(`workerd does not start: ${why}\n${output}`));
    const limit = setTimeout(() => fail("it takes too long"), LIMIT_MS);
    child.stderr?.on("data", (chunk) => (output += chunk));
    child.stdout?.on("data", (chunk) => {
      output += chunk;
      for (const [, name, port] of output.matchAll(/"socket":"(\w+)","port":(\d+)/g)) {
        urls[name as string] = `http://127.0.0.1:${port}`;
      }
      if (names.some((name) => !urls[name])) return;
      clearTimeout(limit);
      resolve(urls);
    });
    child.on("error", reject);
    child.on("close", (status) => fail(`it ended with status ${status}`));
  });
}

async function serve(config: string, names: readonly string[]): Promise<Workerd> {
  // Ports are whatever is free; standard output says which.
  const addresses = names.flatMap((name) => ["--socket-addr", `${name}=127.0.0.1:0`]);
  const args = ["serve", config, "--experimental", "--control-fd=1", ...addresses];
  const child = spawn(program(), args, { stdio: ["ignore", "pipe", "pipe"] });
  running.push({ child, ended: new Promise((resolve) => child.on("close", resolve)) });
  return { urls: await sockets(child, names), pid: child.pid as number };
}

/** Serves examples/workerd as it is, until the tests of a file are over; its socket is "http". */
export async function serveExample(): Promise<Workerd> {
  return serve(join(await repositoryFolder(), "examples/workerd/config.capnp"), ["http"]);
}

/** Serves the modules of a folder, as wrangler leaves them: `worker.js` and what it imports; its socket is "http". */
export async function serveModules(folder: string): Promise<Workerd> {
  const types: Readonly<Record<string, string>> = { js: "esModule", wasm: "wasm", gguf: "data" };
  const modules = readdirSync(folder)
    .sort((a, b) => Number(b === "worker.js") - Number(a === "worker.js"))
    .flatMap((name) => {
      const type = types[name.split(".").at(-1) as string];
      return type ? [`(name = "${name}", ${type} = embed "${name}"),`] : [];
    });
  const config = join(folder, "config.capnp");
  writeFileSync(
    config,
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "worker", worker = .worker)],
  sockets = [(name = "http", http = (), service = "worker")],
);
const worker :Workerd.Worker = (
  compatibilityDate = "2026-01-01",
  compatibilityFlags = ["enable_request_signal"],
  modules = [
    ${modules.join("\n    ")}
  ],
);
`,
  );
  return serve(config, ["http"]);
}

/**
 * Serves workers, each on the socket of its name; sources find the package at ./cria/ and the model at ./tales.gguf.
 * @param models more models, by the names of the modules that have their bytes
 */
export async function serveWorkers(
  sources: Readonly<Record<string, string>>,
  models: Readonly<Record<string, Uint8Array>> = {},
): Promise<Workerd> {
  const folder = await repositoryFolder();
  const names = Object.keys(sources);
  const files = Object.keys(models);
  for (const file of files) writeFileSync(join(folder, file), models[file] as Uint8Array);
  for (const name of names) writeFileSync(join(folder, `${name}.js`), sources[name] as string);
  const config = join(folder, "config.capnp");
  writeFileSync(
    config,
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    ${names.map((name) => `(name = "${name}", worker = .${name}),`).join("\n    ")}
    (name = "models", disk = "${join(folder, "models/tales")}"),
  ],
  sockets = [
    ${names.map((name) => `(name = "${name}", http = (), service = "${name}"),`).join("\n    ")}
  ],
);
${names.map((name) => workerConfig(name, files)).join("\n")}`,
  );
  return serve(config, names);
}

function workerConfig(name: string, models: readonly string[]): string {
  const more = models.map((model) => `(name = "${model}", data = embed "${model}"),`).join("\n    ");
  return `const ${name} :Workerd.Worker = (
  compatibilityDate = "2026-01-01",
  compatibilityFlags = [${/signal/i.test(name) ? '"enable_request_signal"' : ""}],
  bindings = [(name = "ASSETS", service = "models")],
  modules = [
    (name = "${name}.js", esModule = embed "${name}.js"),
    (name = "cria/workerd.js", esModule = embed "dist/workerd.js"),
    (name = "cria/relaxed.wasm", wasm = embed "dist/relaxed.wasm"),
    (name = "cria/simd.wasm", wasm = embed "dist/simd.wasm"),
    (name = "tales.gguf", data = embed "${embeddedName}"),
    ${more}
  ],
);
`;
}

/** A number of bytes out of /proc/PID/status: VmRSS, or its peak VmHWM. */
export function processBytes(pid: number, field: "VmRSS" | "VmHWM"): number {
  const kilobytes = new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(
    readFileSync(`/proc/${pid}/status`, "utf8"),
  );
  return Number(kilobytes?.[1]) * 1024;
}
