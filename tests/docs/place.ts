// A place to run samples in: a clone of this repository as a user has it, with the files that samples name, servers in
// place of the web, and the processes that samples leave running.
import { type ChildProcess, spawn } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { delimiter, join } from "node:path";
import { trainTokenizer } from "../../src/tokenizer_train.ts";
import { tinyLlamaGguf, tinyVocab } from "../support/gguf_writer.ts";
import { llama2cFile, tokenizerBin } from "../support/llama2c_writer.ts";
import { modelPath, output, packageFolder, root, temporaryFolder, tool } from "../support/package.ts";
import { tinyFolder } from "../support/safetensors_writer.ts";

/** Ports that samples name; each stands for one that is free on this machine. */
const PORTS = [3000, 8000, 8080, 8787] as const;

/** What no sample takes. */
const LIMIT_MS = 300_000;

/** What a sample's process left behind. */
export interface SampleResult {
  readonly status: number | null;
  readonly output: string;
}

/** How a sample's process runs. */
export interface RunOptions {
  /** Default: the clone. */
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** See above; one for a test file. */
export class Place {
  /** The folder that the clone and its siblings lie in. */
  readonly folder = temporaryFolder();
  /** The clone. */
  readonly clone = join(this.folder, "cria");
  readonly #ports = new Map<number, number>();
  readonly #servers: { child: ChildProcess; ended: Promise<unknown> }[] = [];
  #web: Server | undefined;

  /** Copies the repository and installs it, as a newcomer does. */
  async prepare(): Promise<void> {
    for (const port of PORTS) this.#ports.set(port, await freePort());
    copyRepository(this.clone);
    for (const path of ["examples/workerd/config.capnp", "examples/browser/serve.ts"]) {
      const file = join(this.clone, path);
      writeFileSync(file, this.withPorts(readFileSync(file, "utf8")));
    }
    // Built once for each state of the sources, as for the other tests of the package: dist.mjs takes a while.
    const dist = join(await packageFolder(), "dist");
    writeFileSync(
      join(this.clone, "scripts/dist.mjs"),
      `import { cpSync } from "node:fs";
cpSync(${JSON.stringify(dist)}, new URL("../dist", import.meta.url), { recursive: true });
`,
    );
    const bin = join(this.folder, "bin");
    mkdirSync(bin);
    writeFileSync(join(bin, "cria"), `#!/bin/sh\nexec bun ${join(this.clone, "src/cli/main.ts")} "$@"\n`);
    chmodSync(join(bin, "cria"), 0o755);
    await writeUserFiles(this.clone);
    await output(tool("bun"), ["install", "--frozen-lockfile", "--silent"], { cwd: this.clone });
    this.#web = await serveModel();
  }

  /** A text of a sample with the ports that its servers have here. */
  withPorts(text: string): string {
    return text.replace(/(?<=:|--port |")\d{4}\b/g, (port) => String(this.#ports.get(Number(port)) ?? port));
  }

  port(named: number): number {
    const port = this.#ports.get(named);
    if (port === undefined) throw new Error(`Expected one of the ports ${PORTS}, got ${named}`);
    return port;
  }

  /** What a program begins with, so that addresses of the web lead to a server of this machine. */
  get prelude(): string {
    if (!this.#web) throw new Error("Expected a place that is prepared");
    const { port } = this.#web.address() as AddressInfo;
    return `{ const { fetch } = globalThis;
  globalThis.fetch = ((input, init) => {
    const url = String(input.url ?? input).replace(/^https:\\/\\/(huggingface\\.co|example\\.com)\\//, "http://127.0.0.1:${port}/");
    return fetch(input.url ? new Request(url, input) : url, init);
  }) as typeof fetch; }\n`;
  }

  /** Runs a program to its end, in the clone unless `cwd` says another folder. */
  run(command: string, args: readonly string[], options: RunOptions = {}): Promise<SampleResult> {
    const child = this.#spawn(command, args, options);
    const limit = setTimeout(() => child.kill("SIGKILL"), LIMIT_MS);
    let text = "";
    child.stdout?.on("data", (chunk) => (text += chunk));
    child.stderr?.on("data", (chunk) => (text += chunk));
    return new Promise((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (status) => {
        clearTimeout(limit);
        resolve({ status, output: text });
      });
    });
  }

  /** Starts commands that run until {@link stopServers}, and waits until they listen. */
  async startServer(script: string, named: number): Promise<void> {
    const child = this.#spawn("bash", ["-c", script], { detached: true });
    let text = "";
    let isOver = false;
    child.stdout?.on("data", (chunk) => (text += chunk));
    child.stderr?.on("data", (chunk) => (text += chunk));
    const ended = new Promise((resolve) => child.on("close", resolve));
    ended.then(() => {
      isOver = true;
    });
    this.#servers.push({ child, ended });
    const deadline = Date.now() + LIMIT_MS;
    while (!(await listens(this.port(named)))) {
      if (isOver || Date.now() > deadline) throw new Error(`Nothing listens on port ${named}:\n${text}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  async stopServers(): Promise<void> {
    for (const { child, ended } of this.#servers.splice(0)) {
      // The shell and all that it started.
      if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, "SIGKILL");
      await ended;
    }
  }

  async close(): Promise<void> {
    await this.stopServers();
    this.#web?.closeAllConnections();
    this.#web?.close();
  }

  #spawn(
    command: string,
    args: readonly string[],
    options: RunOptions & { detached?: boolean },
  ): ChildProcess {
    const { cwd = this.clone, env, detached = false } = options;
    const path = [join(this.folder, "bin"), join(root, "node_modules/.bin"), process.env.PATH];
    return spawn(command, args, {
      cwd,
      detached,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...process.env,
        PATH: path.join(delimiter),
        NO_COLOR: "1",
        DENO_DIR: join(this.folder, "deno_dir"),
        // Nothing that npm does here needs its registry.
        ...{ npm_config_offline: "true", npm_config_audit: "false", npm_config_fund: "false" },
        ...env,
      },
    });
  }
}

const notCopied = new Set(["node_modules", ".git", ".cache", "dist", "build"]);

function copyRepository(to: string): void {
  mkdirSync(to);
  for (const name of readdirSync(root)) {
    if (notCopied.has(name)) continue;
    cpSync(join(root, name), join(to, name), {
      recursive: true,
      filter: (path) => !notCopied.has(path.split(/[\\/]/).at(-1) as string),
    });
  }
}

/** The files that samples name as the user's own. */
async function writeUserFiles(folder: string): Promise<void> {
  copyFileSync(modelPath, join(folder, "model.gguf"));
  const wide = { dim: 256, nLayers: 1, hiddenDim: 256, contextLength: 512 };
  writeFileSync(join(folder, "model-f16.gguf"), tinyLlamaGguf({ ...wide, type: "F16" }).bytes);
  mkdirSync(join(folder, "folder-of-safetensors"));
  for (const [name, bytes] of tinyFolder({ nKvHeads: 4 })) {
    writeFileSync(join(folder, "folder-of-safetensors", name), bytes);
  }
  const sources = readdirSync(join(folder, "src"), { recursive: true, encoding: "utf8" });
  const texts = sources
    .filter((name) => name.endsWith(".ts"))
    .sort()
    .map((name) => readFileSync(join(folder, "src", name), "utf8"));
  writeFileSync(join(folder, "corpus.txt"), texts.join("\n"));
  const corpus = [readFileSync(join(folder, "README.md"), "utf8")];
  const { bytes } = await trainTokenizer({ modelType: "bpe", vocabSize: 500, corpus });
  writeFileSync(join(folder, "tokenizer.model"), bytes);
  writeFileSync(join(folder, "stories.bin"), llama2cFile().bytes);
  const { pieces, scores } = tinyVocab();
  writeFileSync(join(folder, "tokenizer.bin"), tokenizerBin({ pieces, scores }));
}

/** Serves the embedded model under every path, in ranges too. */
async function serveModel(): Promise<Server> {
  const bytes = readFileSync(modelPath);
  const server = createServer((request, response) => {
    const [, from = "", to = ""] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "") ?? [];
    const begin = Number(from);
    const end = to === "" ? bytes.length : Math.min(bytes.length, Number(to) + 1);
    response.setHeader("ETag", '"tales"');
    response.setHeader("Accept-Ranges", "bytes");
    response.setHeader("Content-Length", end - begin);
    if (from !== "") response.setHeader("Content-Range", `bytes ${begin}-${end - 1}/${bytes.length}`);
    response.writeHead(from === "" ? 200 : 206);
    response.end(request.method === "HEAD" ? undefined : bytes.subarray(begin, end));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

/** A port that nobody listens at, below those that systems choose from: other tests get none of these. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 10_000 + Math.floor(20_000 * Math.random());
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => resolve(true));
    });
    if (!isFree) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const end = (result: boolean) => {
      socket.destroy();
      resolve(result);
    };
    socket.on("connect", () => end(true));
    socket.on("error", () => end(false));
  });
}
