// Makes dist/, which the package contains and URL imports name: `node scripts/dist.mjs [FOLDER]`.
//   cria.js             everything in one file, kernels included: for Bun, Deno (also by URL), Node, browsers, bundlers
//   tokenizer.js        tokenizers alone, in one file
//   tokenizer_train.js  training of tokenizers, in one file
//   convert.js          quantization and conversion of models, in one file
//   models.js           the models that are kept on a machine, in one file
//   ai_sdk.js           models for the ai SDK, in one file; the engine is not in it
//   server.js           the server of OpenAI's routes, in one file; the engine is not in it
//   workerd.js          for runtimes that cannot compile WebAssembly: imports simd.wasm and relaxed.wasm beside it
//   worker.js           a compute thread as a file, for pages that allow no `blob:` workers
//   cli.js              the command line
//   gguf_*.d.ts         types of an imported model, for bundlers that support such imports
// Each entry of the library has its declarations beside it, in one file too. Deno finds them by the first line of the script.
// Uncaught errors must be readable. Therefore each script has a source map, short lines and full names.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, transform } from "esbuild";
import { joinDeclarations } from "./declarations.mjs";
import { slimDependencies } from "./slim_dependencies.mjs";
import {
  applyEdits,
  classNames,
  lineBreaks,
  lineMappings,
  privateNames,
  pureConstants,
  shortVariables,
  textsFirst,
} from "./source_edits.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const { version, license } = JSON.parse(readFileSync(`${root}package.json`, "utf8"));
const NOTICE = `/*! cria ${version}, ${license}. Contains @assemblyscript/loader, Apache-2.0. */`;

/** Most characters of a line, because Node prints the whole line of an uncaught error before its message. */
export const MAX_LINE = 500;

/** Characters of a text from which on it stands at the begin of a script. */
const LONG_TEXT = 700;

const library = [
  "mod",
  "tokenizer",
  "tokenizer_train",
  "convert",
  "models",
  "server",
  "ai_sdk",
  "workerd",
  "worker",
];

/** The name in dist/ of an entry in src/. */
function outputName(entry) {
  return entry === "mod" ? "cria" : entry;
}

/** Returns a function that gives the module of a variant, from the generated files. */
export async function kernelBytes() {
  const bundle = await build({
    ...common,
    minify: true,
    entryPoints: [`${root}src/kernels/variant.ts`],
    write: false,
  });
  const url = `data:text/javascript;base64,${Buffer.from(bundle.outputFiles[0].contents).toString("base64")}`;
  const { variantBytes } = await import(url);
  return variantBytes;
}

const common = {
  bundle: true,
  format: "esm",
  target: "es2022",
  platform: "neutral",
  charset: "utf8",
  legalComments: "none",
  logLevel: "warning",
};

/** A plugin that keeps `import x from "./x.wasm"` and includes no module inline. */
const staticModules = {
  name: "static-modules",
  setup(build) {
    build.onResolve({ filter: /\.wasm$/ }, ({ path }) => ({
      path: `./${path.split("/").at(-1)}`,
      external: true,
    }));
    build.onLoad({ filter: /kernels[\\/]\w+\.gen\.ts$/ }, () => ({
      contents: 'export const wasm = "", text = "", sizes = [];',
      loader: "ts",
    }));
  },
};

// esbuild has no option that names identifiers to keep. Two tricks keep them. First, esbuild does not rename what a direct
// eval could see: if the last statement of a module is a direct eval, that is every top-level name. Second, it does not rename
// properties: with another first letter, the names of private methods look like properties. Private fields are in no stack
// trace: their names are shortened. So are those of variables that hold neither a function nor a class.
const KEEP = 'eval("");';
const PRIVATE = "\u0275";

/** What a source map calls the source of texts that were moved. */
const MOVED = "moved.js";

/** Minifies a module. Its functions, classes and private methods keep their names, and what it exports. */
async function minify({ text, map }) {
  if (text.includes(PRIVATE)) throw new Error(`Cannot keep private names: the sources contain ${PRIVATE}`);
  const hidden = privateNames(text).map((at) => ({ at, length: 1, text: PRIVATE }));
  let open = applyEdits({ text, map }, hidden);
  open = applyEdits(open, textsFirst(open.text, LONG_TEXT));
  open = applyEdits(open, shortVariables(open.text));
  const url = `data:application/json;base64,${Buffer.from(JSON.stringify(open.map)).toString("base64")}`;
  const minified = await transform(`${open.text}${KEEP}\n//# sourceMappingURL=${url}`, {
    ...{ format: "esm", target: "es2022", charset: "utf8", minify: true },
    logOverride: { "direct-eval": "silent" },
    sourcemap: "external",
    sourcefile: MOVED,
  });
  // Removes the eval again. It may have become the last part of the statement before it, and may contain line breaks.
  const found = /,?\s*eval\(\s*""\s*\)(?=;)/.exec(minified.code);
  if (!found) throw new Error(`Cannot minify: ${KEEP} is gone`);
  let script = { text: minified.code.replaceAll(PRIVATE, "#"), map: JSON.parse(minified.map) };
  script = applyEdits(script, [{ at: found.index, length: found[0].length, text: "" }]);
  script = applyEdits(script, classNames(script.text));
  script = applyEdits(script, pureConstants(script.text));
  return applyEdits(script, lineBreaks(script.text, MAX_LINE));
}

/**
 * A source map without what the package has no use for: copies of the files in src/, which it contains, places within a
 * line, and names of local variables. Names in stack traces are in the script itself. Generated files are text that no
 * stack trace leads to, and the package does not contain them.
 */
function slim(map) {
  const moved = map.sources.indexOf(MOVED);
  const sources = map.sources.filter((path) => path !== MOVED);
  const contents = map.sourcesContent.filter((_, i) => i !== moved);
  const sourcesContent = sources.map((path, i) => {
    if (path.endsWith(".gen.ts")) return "// Generated by a script of cria's repository.\n";
    return path.startsWith("../src/") ? null : contents[i];
  });
  const mappings = lineMappings(map.mappings, moved < 0 ? undefined : moved);
  return { ...map, sources, sourcesContent, names: [], mappings };
}

/** Writes one bundle and its source map. Returns esbuild's metafile. */
async function bundle(folder, name, banner, options) {
  const { outputFiles, metafile } = await build({
    ...common,
    ...options,
    plugins: [slimDependencies, ...(options.plugins ?? [])],
    // This pass minifies syntax only, which also inlines constants of other modules. minify() does names and white space.
    minifySyntax: true,
    sourcemap: "external",
    metafile: true,
    write: false,
    // Paths in the map are relative to dist/, wherever the files are written.
    outfile: `${root}dist/${name}.js`,
  });
  const text = outputFiles.find(({ path }) => path.endsWith(".js")).text;
  const map = JSON.parse(outputFiles.find(({ path }) => path.endsWith(".map")).text);
  const script = await minify({ text, map });
  const head = `${banner}\n${NOTICE}\n`;
  const mappings = ";".repeat(head.split("\n").length - 1) + script.map.mappings;
  writeFileSync(
    join(folder, `${name}.js`),
    `${head}${script.text.trimEnd()}\n//# sourceMappingURL=${name}.js.map\n`,
  );
  writeFileSync(
    join(folder, `${name}.js.map`),
    JSON.stringify(slim({ ...script.map, file: `${name}.js`, mappings })),
  );
  return metafile;
}

function bundleLibrary(folder, entry) {
  const name = outputName(entry);
  return bundle(folder, name, `// @ts-self-types="./${name}.d.ts"`, {
    entryPoints: [`${root}src/${entry}.ts`],
    plugins: entry === "workerd" ? [staticModules] : [],
  });
}

function bundleCommandLine(folder) {
  return bundle(folder, "cli", "#!/usr/bin/env node", {
    platform: "node",
    entryPoints: [`${root}src/cli/main.ts`],
  });
}

// The type of an imported .gguf file depends on the bundler, so a project chooses one of these.
const moduleTypes = {
  data: ["The bytes of a model, as in data modules of wrangler and workerd.", "ArrayBuffer"],
  file: ["The path or URL of a model, as from the file loaders of Bun and esbuild.", "string"],
};

function moduleDeclaration(kind) {
  const [says, type] = moduleTypes[kind];
  return `// A project names it once: /// <reference types="cria/gguf/${kind}" />
declare module "*.gguf" {
  /** ${says} */
  const model: ${type};
  export default model;
}
`;
}

/** Deletes `folder` and makes dist/ there. Returns esbuild's metafile of each bundle, by name. */
export async function buildDist(folder) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const metafiles = {};
  for (const entry of library) metafiles[outputName(entry)] = await bundleLibrary(folder, entry);
  metafiles.cli = await bundleCommandLine(folder);
  const bytesOf = await kernelBytes();
  for (const variant of ["simd", "relaxed"]) writeFileSync(join(folder, `${variant}.wasm`), bytesOf(variant));
  const declarations = joinDeclarations(library.map((entry) => `${root}src/${entry}.ts`));
  library.forEach((entry, i) => {
    writeFileSync(join(folder, `${outputName(entry)}.d.ts`), declarations[i]);
  });
  for (const kind of Object.keys(moduleTypes)) {
    writeFileSync(join(folder, `gguf_${kind}.d.ts`), moduleDeclaration(kind));
  }
  return metafiles;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await buildDist(process.argv[2] ?? `${root}dist`);
}
