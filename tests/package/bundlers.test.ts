// The packed tarball in other people's bundles: esbuild, vite and `bun build --compile`.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { itChromium } from "../support/chromium.ts";
import { fixturePath } from "../support/fixtures.ts";
import { embeddedName } from "../support/models.ts";
import {
  assertBits,
  bitsFunction,
  installPackage,
  modelPath,
  output,
  root,
  runProcess,
  temporaryFolder,
  tool,
} from "../support/package.ts";
import { pageResult } from "../support/page_result.ts";
import { tinyFolder } from "../support/safetensors_writer.ts";

const project = temporaryFolder();
// Where bundles run: nothing of the project is in sight.
const elsewhere = temporaryFolder();

before(() => installPackage(project));

const write = (name: string, text: string) => writeFileSync(join(project, name), text);

/** A program that prints its bits with two threads and the model its argument names. */
const program = `import { Llama } from "cria";
${bitsFunction}
bits(Llama, process.argv[2], { tune: { threads: 2 } }).then(
  (result) => console.log(JSON.stringify(result)),
  (error) => {
    console.error(error.code + ": " + error.message);
    process.exitCode = 1;
  },
);
`;

describe("an esbuild bundle", () => {
  const builds = {
    "as a module": ["--format=esm", "--outfile=out.mjs"],
    minified: ["--format=esm", "--minify", "--outfile=out.mjs"],
    "minified, with names kept": ["--format=esm", "--minify", "--keep-names", "--outfile=out.mjs"],
    "lowered to ES2020": ["--format=esm", "--target=es2020", "--outfile=out.mjs"],
    "as CommonJS": ["--format=cjs", "--outfile=out.cjs", "--log-override:empty-import-meta=silent"],
  };
  for (const [name, flags] of Object.entries(builds)) {
    it(`${name} generates the same bits, in two threads`, async () => {
      write("main.mjs", program);
      const file = flags.find((flag) => flag.startsWith("--outfile="))?.split("=")[1] as string;
      await output(tool("esbuild"), ["main.mjs", "--bundle", "--platform=node", ...flags], { cwd: project });
      const moved = join(elsewhere, file);
      writeFileSync(moved, readFileSync(join(project, file)));
      await assertBits(await output("node", [moved, modelPath], { cwd: elsewhere }), 2);

      const { status, stderr } = await runProcess("node", [moved], { cwd: elsewhere });
      assert.equal(status, 1);
      assert.match(stderr, /^SOURCE: Cannot load the model that comes with cria: .*name a model/);
    });
  }

  it("has a reader of tokenizer.json if it uses Tokenizer, and else says so", async () => {
    const json = JSON.stringify(fixturePath("bpe.tokenizer.json"));
    const model = JSON.stringify(modelPath);
    const run = async (text: string) => {
      write("json.mjs", text);
      await output(
        tool("esbuild"),
        ["json.mjs", "--bundle", "--platform=node", "--format=esm", "--outfile=json.out.mjs"],
        { cwd: project },
      );
      const moved = join(elsewhere, "json.mjs");
      writeFileSync(moved, readFileSync(join(project, "json.out.mjs")));
      return runProcess("node", [moved], { cwd: elsewhere });
    };
    const without = await run(
      `import { Llama } from "cria";
Llama.load(${model}, { tokenizer: ${json} }).catch((error) => console.log(error.code + ": " + error.message));
`,
    );
    assert.match(
      without.stdout,
      /^UNSUPPORTED: Cannot read .*json: This bundle has no reader of tokenizer\.json/,
    );
    assert.match(
      without.stdout,
      /import \{ Tokenizer \} from "cria" and pass tokenizer: await Tokenizer\.load/,
    );
    const withIt = await run(
      `import { Llama, Tokenizer } from "cria";
const tokenizer = await Tokenizer.load(${json});
const llama = await Llama.load(${model}, { tokenizer });
console.log(llama.tokenizer === tokenizer, llama.tokenizer.encode("Once").length > 0);
llama.dispose();
`,
    );
    assert.equal(withIt.stdout, "true true\n", withIt.stderr);

    // Models that are no GGUF file likewise.
    const folder = temporaryFolder();
    for (const [name, bytes] of tinyFolder({ nLayers: 1 })) writeFileSync(join(folder, name), bytes);
    const load = `Llama.load(${JSON.stringify(folder)}).then((llama) => {
  console.log(llama.config.nLayers);
  llama.dispose();
}, (error) => console.log(error.code + ": " + error.message));
`;
    const gguf = await run(`import { Llama } from "cria";\n${load}`);
    assert.match(
      gguf.stdout,
      /^UNSUPPORTED: Cannot load .*: This bundle reads GGUF files only, .*import \{ Tokenizer \}/,
    );
    const all = await run(`import { Llama, Tokenizer } from "cria";\nif (!Tokenizer) throw 0;\n${load}`);
    assert.equal(all.stdout, "1\n", all.stderr);
  });

  it("for workerd imports the kernels as modules and holds none", async () => {
    write("worker.mjs", `export { Llama } from "cria";\n`);
    const flags = [
      "--bundle",
      "--format=esm",
      "--conditions=workerd",
      "--external:*.wasm",
      "--outfile=w.mjs",
    ];
    await output(tool("esbuild"), ["worker.mjs", ...flags], { cwd: project });
    const text = readFileSync(join(project, "w.mjs"), "utf8");
    assert.match(text, /from "\.\/relaxed\.wasm"/);
    assert.doesNotMatch(text, /AGFzbQ/);
  });
});

describe("bun build", () => {
  it("--compile makes a program that runs from another folder", async () => {
    write("compiled.mjs", program);
    const executable = join(elsewhere, "compiled");
    const flags = ["build", "--compile", "--minify", "compiled.mjs", "--outfile", executable];
    await output(tool("bun"), flags, { cwd: project });
    await assertBits(await output(executable, [modelPath], { cwd: elsewhere }), 2);
    const { status, stderr } = await runProcess(executable, [], { cwd: elsewhere });
    assert.equal(status, 1);
    assert.match(stderr, /^SOURCE: Cannot load the model that comes with cria: .*name a model/);
    rmSync(executable);
  });

  it("--compile can put the model into the program", async () => {
    write(
      "embedding.mjs",
      `import { Llama } from "cria";
import model from "cria/${embeddedName}" with { type: "file" };
${bitsFunction}
console.log(JSON.stringify(await bits(Llama, Bun.file(model), { threads: 1 })));`,
    );
    const executable = join(elsewhere, "embedding");
    await output(tool("bun"), ["build", "--compile", "embedding.mjs", "--outfile", executable], {
      cwd: project,
    });
    await assertBits(await output(executable, [], { cwd: elsewhere }), 1);
    rmSync(executable);
  });
});

const isolated = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};

describe("a vite project", () => {
  const dist = join(project, "dist");

  /** A page with the engine in a worker, and options of `Llama.load`. */
  async function build(options: string): Promise<void> {
    mkdirSync(join(project, "src"), { recursive: true });
    write("vite.config.mjs", `export default { worker: { format: "es" } };`);
    write("index.html", `<!doctype html><script type="module" src="/src/main.js"></script>`);
    write(
      "src/main.js",
      `// For policies that ask for Trusted Types.
globalThis.trustedTypes?.createPolicy("default", { createScriptURL: (url) => url });
const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
worker.onmessage = ({ data }) => fetch("/result", { method: "POST", body: data });
worker.onerror = ({ message }) => fetch("/result", { method: "POST", body: message });
`,
    );
    write(
      "src/worker.js",
      `import { Llama } from "cria";
import model from "cria/${embeddedName}?url";
import workerUrl from "cria/worker?url&no-inline";
${bitsFunction}
bits(Llama, new URL(model, location.href), { ${options} }).then(
  (result) => postMessage(JSON.stringify(result)),
  (error) => postMessage(error.stack),
);
`,
    );
    const vite = join(root, "node_modules/vite/bin/vite.js");
    await output("node", [vite, "build"], { cwd: project });
  }

  const two = "tune: { threads: 2 }";
  const scripts = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'";
  const noBlob = `${scripts}; worker-src 'self'`;

  itChromium("builds, and generates the same bits in Chromium", async () => {
    await build(two);
    await assertBits(await pageResult(dist, {}), 1);
    await assertBits(await pageResult(dist, isolated), 2);
  });

  itChromium("has threads under a policy without blob: workers, by workerUrl", async () => {
    await build(`${two}, workerUrl`);
    await assertBits(await pageResult(dist, { ...isolated, "Content-Security-Policy": noBlob }), 2);
  });

  itChromium("has threads under a policy that asks for Trusted Types and allows cria's", async () => {
    await build(two);
    for (const names of ["", "; trusted-types default cria"]) {
      const policy = `${scripts}; worker-src 'self' blob:; require-trusted-types-for 'script'${names}`;
      await assertBits(await pageResult(dist, { ...isolated, "Content-Security-Policy": policy }), 2);
    }
  });

  const refusing = {
    "no blob: workers": noBlob,
    "no Trusted Types of cria": `${scripts}; worker-src 'self' blob:; require-trusted-types-for 'script'; trusted-types default`,
  };
  for (const [what, policy] of Object.entries(refusing)) {
    const headers = { ...isolated, "Content-Security-Policy": policy };

    itChromium(`says what to do where a policy forbids threads that were asked for: ${what}`, async () => {
      await build(two);
      assert.match(await pageResult(dist, headers), /^EngineError: .*Content-Security-Policy.*workerUrl/);
    });

    itChromium(`does with one thread where nobody asked for more: ${what}`, async () => {
      await build("");
      await assertBits(await pageResult(dist, headers), 1);
    });
  }
});
