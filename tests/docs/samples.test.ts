// Every sample of the documentation does what it says: nothing is shown that was not run.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { startFileServer } from "../../examples/browser/serve.ts";
import { itChromium } from "../support/chromium.ts";
import { health, read } from "../support/edge.ts";
import { embeddedName } from "../support/models.ts";
import { installPackage, output, temporaryFolder, tool } from "../support/package.ts";
import { pageResult } from "../support/page_result.ts";
import { itUnless, twice } from "../support/skip.ts";
import { serveWorkers } from "../support/workerd.ts";
import { runWrangler } from "../support/wrangler.ts";
import { Place } from "./place.ts";
import { pages, type Sample, samplesIn, samplesOf, samplesOfComments } from "./samples.ts";

/** Samples that no test runs. Each says why, where it stands; one more is a decision. */
const NOT_RUN = 3;

const documents = pages().map((page) => ({ page, samples: samplesOf(page) }));
const comments = samplesOfComments();
const all = [...documents.flatMap(({ samples }) => samples), ...comments];

const place = new Place();
// A project that has installed the package, for samples of Node and of wrangler.
const project = temporaryFolder();
if (twice === false) {
  before(async () => {
    await place.prepare();
    await installPackage(project);
    mkdirSync(join(place.folder, "deno"));
  });
  after(() => place.close());
}

describe("samplesIn()", () => {
  it("finds blocks, their languages and what is said of them, and nothing that is half", () => {
    const text = "a\n```ts\nx\n```\n<!-- sample: not run, why -->\n  ```sh\n  y\n    z\n  ```\n";
    assert.deepEqual(samplesIn("p.md", text), [
      { place: "p.md:2", page: "p.md", language: "ts", directive: undefined, text: "x\n" },
      { place: "p.md:6", page: "p.md", language: "sh", directive: "not run, why", text: "y\n  z\n" },
    ]);
    assert.throws(() => samplesIn("p.md", "```ts\nx\n"), /p\.md:1: the sample is not closed/);
    assert.throws(() => samplesIn("p.md", "<!-- sample: server 80 -->\n\n```sh\n```\n"), /no sample follows/);
  });
});

describe("samples", () => {
  it("are run, but for those that say why not", () => {
    const notRun = all.filter(({ directive }) => directive?.startsWith("not run"));
    console.log(`${all.length} samples, of which ${notRun.length} are not run:`);
    for (const { place, directive } of notRun) {
      console.log(`  ${place}: ${directive}`);
      assert.match(directive ?? "", /^not run, .{20,}/, `${place} does not say why`);
    }
    assert.equal(notRun.length, NOT_RUN);
    for (const sample of all) assert.ok(runnerOf(sample), `${sample.place}: nothing runs it`);
    const [toml, unknown] = samplesIn("p.md", "```toml\n```\n<!-- sample: later -->\n```ts\n```\n") as [
      Sample,
      Sample,
    ];
    assert.deepEqual([runnerOf(toml), runnerOf(unknown)], [undefined, undefined]);
  });

  itUnless(twice, "have right types", async () => {
    const programs = documents.flatMap(({ samples }) => samples.filter(isTyped));
    const names = programs.map((sample, i) => {
      const name = `typed_${i}.ts`;
      const text = programOf(sample, samplesOf(sample.page));
      // What leaves the clone has other types: a URL's, a data module's.
      writeFileSync(join(place.clone, name), `// ${sample.place}\n${text}\nexport {};\n`);
      return name;
    });
    const config = { extends: "./tsconfig.json", compilerOptions: { noUnusedLocals: false }, include: names };
    writeFileSync(join(place.clone, "samples.json"), JSON.stringify(config));
    const { status, output } = await place.run(tool("tsc"), ["-p", "samples.json"]);
    assert.equal(status, 0, output);
  });
});

for (const { page, samples } of documents) {
  if (samples.length === 0) continue;
  describe(page, () => {
    after(() => place.stopServers());
    for (const sample of samples) test(sample, samples);
  });
}

describe("comments of src/", () => {
  it("have samples", () => {
    assert.ok(comments.some(({ page }) => page === "src/mod.ts"));
  });
  for (const sample of comments) test(sample, comments);
});

type Runner = (sample: Sample, samples: readonly Sample[]) => Promise<void>;

/** By what the comment before a sample begins with; the rest of it is the runner's. */
const runners: Readonly<Record<string, Runner>> = {
  continues: (sample, samples) => runProgram(programOf(sample, samples)),
  node: runInProject,
  deno: runUrl,
  compile: runCompiled,
  server: startServer,
  workerd: runWorkerd,
  wrangler: runWranglerCommand,
  vite: runVite,
  headers: compareHeaders,
  file: writeFile,
};

const byLanguage: Readonly<Record<string, Runner>> = {
  ts: (sample, samples) => runProgram(programOf(sample, samples)),
  js: (sample, samples) => runProgram(programOf(sample, samples)),
  sh: runShell,
};

function runnerOf({ directive, language, text, page }: Sample): Runner | undefined {
  if (directive?.startsWith("not run")) return async () => {};
  // Comments have no place for a word of how they are run.
  if (page.startsWith("src/") && text.includes("export default createWorker")) return runWorkerd;
  if (directive === undefined) return byLanguage[language];
  return runners[/^\w+/.exec(directive)?.[0] ?? ""];
}

function test(sample: Sample, samples: readonly Sample[]): void {
  const runner = runnerOf(sample);
  // That it has none is a failure of its own.
  if (!runner || sample.directive?.startsWith("not run")) return;
  const title = `${sample.place}${sample.directive ? ` (${sample.directive})` : ""}`;
  if (runner === runVite && twice === false) itChromium(title, () => runner(sample, samples));
  else itUnless(twice, title, () => runner(sample, samples));
}

/** Samples that are programs of a clone. */
function isTyped({ language, directive }: Sample): boolean {
  return language === "ts" && (directive === undefined || directive === "continues");
}

/** A sample and what it continues. */
function programOf(sample: Sample, samples: readonly Sample[]): string {
  const index = samples.findIndex(({ place }) => place === sample.place);
  if (sample.directive === "continues")
    return `${programOf(samples[index - 1] as Sample, samples)}\n${sample.text}`;
  if (!sample.page.startsWith("src/") || sample.text.includes("import ")) return sample.text;
  // Comments show a few lines of what stands around them.
  const model = sample.text.includes("llama.chat(") ? '"cria:tales-chat"' : "";
  return `import { Llama } from "cria";
import { Tokenizer } from "cria/tokenizer";
import { trainTokenizer } from "cria/tokenizer/train";
const write = (text) => process.stdout.write(text);
{ await using llama = await Llama.load(${model});
{ ${sample.text} } }
`;
}

let programs = 0;

/** Runs a program of the clone in Bun and in Deno. */
async function runProgram(text: string): Promise<void> {
  const name = `sample_${programs++}.ts`;
  const model = readFileSync(join(place.clone, "model.gguf"));
  const sha256 = createHash("sha256").update(model).digest("hex");
  writeFileSync(join(place.clone, name), place.prelude + text.replace('"SHA256"', `"${sha256}"`));
  const env = { XDG_CACHE_HOME: join(place.folder, "cache") };
  for (const command of [
    ["bun", name],
    ["deno", "run", "-A", "--no-check", name],
  ] as const) {
    const [program, ...args] = command;
    const { status, output } = await place.run(program, args, { env });
    assert.equal(status, 0, `${command.join(" ")}\n${output}`);
  }
}

/** Runs commands in a clone; what a comment behind one says it prints must come. */
async function runShell({ text }: Sample): Promise<void> {
  const { status, output } = await place.run("bash", ["-euo", "pipefail", "-c", place.withPorts(text)]);
  assert.equal(status, 0, output);
  assert.ok(output.length > 0);
  for (const [, promised = ""] of text.matchAll(/ # prints (.+)$/gm)) {
    assert.ok(output.split("\n").includes(promised), `Expected ${promised}, got\n${output}`);
  }
}

/** Runs a program in a project that has installed the package: "node, bun, deno in project". */
async function runInProject({ directive = "", text }: Sample): Promise<void> {
  const [names = "", where] = directive.split(" in ");
  const cwd = where ? join(place.folder, where) : project;
  writeFileSync(join(cwd, "app.mjs"), text);
  for (const name of names.split(", ")) {
    const args = name === "deno" ? ["run", "-A", "app.mjs"] : ["app.mjs"];
    const { status, output } = await place.run(name, args, { cwd });
    assert.equal(status, 0, `${name}\n${output}`);
    assert.ok(output.length > 10, output);
  }
}

/** Runs a program of Deno that imports from a server, with types, where there is nothing else. */
async function runUrl({ text }: Sample): Promise<void> {
  const cwd = join(place.folder, "deno");
  writeFileSync(join(cwd, "script.ts"), place.withPorts(text));
  const [, host] = /"http:\/\/([^/]+)/.exec(place.withPorts(text)) ?? [];
  const flags = ["--check", `--allow-import=${host}`, "--allow-net", "--allow-read"];
  const { status, output } = await place.run("deno", ["run", ...flags, "script.ts"], { cwd });
  assert.equal(status, 0, output);
}

/** Makes a program of a sample, in the project that an earlier sample made, and runs it: "compile in project". */
async function runCompiled({ directive = "", text }: Sample): Promise<void> {
  const cwd = join(place.folder, directive.split(" in ")[1] ?? "");
  writeFileSync(join(cwd, "compiled.ts"), text);
  const made = await place.run("bun", ["build", "--compile", "compiled.ts", "--outfile", "compiled"], {
    cwd,
  });
  assert.equal(made.status, 0, made.output);
  const { status, output } = await place.run("./compiled", [], { cwd });
  assert.equal(status, 0, output);
  assert.ok(output.length > 20);
}

/** Starts a server that serves until the samples of its page are over: "server 8000", and asks it for its page. */
async function startServer({ directive = "", text }: Sample): Promise<void> {
  const [, named] = /^server (\d+)$/.exec(directive) ?? [];
  await place.startServer(place.withPorts(text), Number(named));
  const response = await fetch(`http://127.0.0.1:${place.port(Number(named))}/`);
  assert.equal(response.status, 200);
  await response.text();
}

/** Serves a worker in workerd, and has it generate. */
async function runWorkerd({ text }: Sample): Promise<void> {
  const local = text
    .replace('"cria/workerd"', '"./cria/workerd.js"')
    .replace('"./model.gguf"', '"./tales.gguf"');
  const imported = local.includes("import { createWorker }")
    ? local
    : `import { createWorker } from "./cria/workerd.js";\n${local}`;
  const { urls } = await serveWorkers({ sample: imported });
  const send = (path: string, init?: RequestInit) => fetch(`${urls.sample}${path}`, init);
  const init = { method: "POST", body: '{"prompt":"Once upon a time","max_tokens":5}' };
  const { last } = await read(await send("/generate", init));
  assert.equal(last.finish_reason, "length");
  assert.equal((await health(send)).status, "ready");
}

/** Writes a file of the project that later samples of the page are about: "file wrangler.toml". */
async function writeFile({ directive = "", text }: Sample): Promise<void> {
  writeFileSync(join(project, directive.replace("file ", "")), text);
}

async function runWranglerCommand({ text }: Sample): Promise<void> {
  const [, args = ""] = /^npx wrangler (.+)\n$/.exec(text) ?? [];
  const { status, stdout, stderr } = await runWrangler(project, args.split(" "));
  assert.equal(status, 0, stdout + stderr);
  assert.match(stdout, /Total Upload/);
}

/** Builds a worker of a page with vite, and runs it in Chromium. */
async function runVite({ text }: Sample): Promise<void> {
  const folder = join(project, "vite");
  mkdirSync(folder, { recursive: true });
  const write = (name: string, content: string) => writeFileSync(join(folder, name), content);
  write("vite.config.mjs", `export default { worker: { format: "es" } };`);
  write("index.html", `<!doctype html><script type="module" src="/main.js"></script>`);
  write(
    "main.js",
    `const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
worker.onmessage = ({ data }) => fetch("/result", { method: "POST", body: data });
worker.onerror = ({ message }) => fetch("/result", { method: "POST", body: message });
`,
  );
  write(
    "worker.js",
    `import { Llama } from "cria";
import address from "cria/${embeddedName}?url";
const url = new URL(address, location.href);
${text}
postMessage("done");
`,
  );
  await output("node", [join(place.clone, "node_modules/vite/bin/vite.js"), "build"], { cwd: folder });
  assert.equal(await pageResult(join(folder, "dist"), {}), "done");
}

/** Compares headers with those that the example's server sends. */
async function compareHeaders({ text }: Sample): Promise<void> {
  const server = await startFileServer({ port: 0, isolated: true });
  try {
    const { headers } = await fetch(`${server.origin}/examples/browser/`);
    for (const line of text.trim().split("\n")) {
      const [name = "", value] = line.split(": ");
      assert.equal(headers.get(name), value, line);
    }
  } finally {
    await server.close();
  }
}
