// Makes dist/, what the package and a URL import consist of; `node scripts/dist.mjs [FOLDER]`.
//   cria.js        everything in one file, kernels inline: Bun, Deno (by URL too), Node, browsers, bundlers
//   tokenizer.js   tokenizers alone, in one file
//   tokenizer_train.js   training of tokenizers, in one file
//   workerd.js     for runtimes that compile no WebAssembly: imports simd.wasm and relaxed.wasm beside it
//   worker.js      a compute thread as a file, for pages that allow no `blob:` workers
//   cli.js         the command line
//   gguf_*.d.ts    what an import of a model is, where a bundler makes a value of it
// Each but the last has its declarations beside it, in one file too, which Deno finds by the first line. Each has a
// source map: an error that nobody catches must be readable, so lines are short and names are kept.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, transform } from "esbuild";
import { joinDeclarations } from "./declarations.mjs";
import { applyEdits, classNames, lineBreaks, privateNames } from "./source_edits.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const { version, license } = JSON.parse(readFileSync(`${root}package.json`, "utf8"));
const NOTICE = `/*! cria ${version}, ${license}. Contains @assemblyscript/loader, Apache-2.0. */`;

/** Most characters of a line: Node prints the line of an uncaught error, before its message. */
export const MAX_LINE = 500;

const library = ["mod", "tokenizer", "tokenizer_train", "workerd", "worker"];

/** What a source file of src/ is called in dist/. */
function outputName(entry) {
  return entry === "mod" ? "cria" : entry;
}

/** A function from a variant to its module, out of the generated files that carry them. */
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

/** Leaves `import x from "./x.wasm"` as it is, and carries no module inline. */
const staticModules = {
  name: "static-modules",
  setup(build) {
    build.onResolve({ filter: /\.wasm$/ }, ({ path }) => ({
      path: `./${path.split("/").at(-1)}`,
      external: true,
    }));
    build.onLoad({ filter: /kernels[\\/]\w+\.gen\.ts$/ }, () => ({
      contents: 'export const wasm = "", patch = "";',
      loader: "ts",
    }));
  },
};

// esbuild has no switch for names that it must not shorten. Two things keep them: it leaves alone what a direct eval could
// see, which is every name of a module whose last statement is one; and properties, which the names of private methods are
// made to look like by another first letter. Private fields are in no stack trace: their names are shortened.
const KEEP = 'eval("");';
const PRIVATE = "\u0275";

/** Minifies a module and leaves its functions, classes and private methods their names. */
async function minify({ text, map }) {
  if (text.includes(PRIVATE)) throw new Error(`Cannot keep private names: the sources contain ${PRIVATE}`);
  const hidden = privateNames(text).map((at) => ({ at, length: 1, text: PRIVATE }));
  const open = applyEdits({ text, map }, hidden);
  const url = `data:application/json;base64,${Buffer.from(JSON.stringify(open.map)).toString("base64")}`;
  const minified = await transform(`${open.text}${KEEP}\n//# sourceMappingURL=${url}`, {
    ...{ format: "esm", target: "es2022", charset: "utf8", minify: true },
    // Of strings, which it breaks best. The eval is taken out again.
    lineLimit: MAX_LINE - 20,
    logOverride: { "direct-eval": "silent" },
    sourcemap: "external",
    sourcefile: "bundle.js",
  });
  // It may have become the last part of a statement before it, and lines may be broken within it.
  const found = /,?\s*eval\(\s*""\s*\)(?=;)/.exec(minified.code);
  if (!found) throw new Error(`Cannot minify: ${KEEP} is gone`);
  let script = { text: minified.code.replaceAll(PRIVATE, "#"), map: JSON.parse(minified.map) };
  script = applyEdits(script, [{ at: found.index, length: found[0].length, text: "" }]);
  script = applyEdits(script, classNames(script.text));
  return applyEdits(script, lineBreaks(script.text, MAX_LINE));
}

/** What the package has in src/ needs no copy in the map. */
function withoutSources(map) {
  const sourcesContent = map.sources.map((path, i) =>
    path.startsWith("../src/") ? null : map.sourcesContent[i],
  );
  return { ...map, sourcesContent };
}

/** Writes one bundle and its source map; what esbuild says of its inputs. */
async function bundle(folder, name, banner, options) {
  const { outputFiles, metafile } = await build({
    ...common,
    ...options,
    // Names and white space are for the second pass; syntax here, for constants of other modules.
    minifySyntax: true,
    sourcemap: "external",
    metafile: true,
    write: false,
    // Paths in the map are relative to it, wherever the files are written.
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
    JSON.stringify(withoutSources({ ...script.map, file: `${name}.js`, mappings })),
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

// An import of a .gguf file has the type that the bundler gives it, and a project chooses one.
const moduleTypes = {
  data: ["The bytes of a model, as wrangler's and workerd's data modules have them.", "ArrayBuffer"],
  file: ["The path or address of a model, as Bun's and esbuild's file loaders have it.", "string"],
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

/** Makes all of dist/ anew, in `folder`; esbuild's metafile of each bundle, by its name. */
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
