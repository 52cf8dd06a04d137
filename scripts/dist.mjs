// Makes dist/, what the package and a URL import consist of; `node scripts/dist.mjs [FOLDER]`.
//   cria.js        everything in one file, kernels inline: Bun, Deno (by URL too), Node, browsers, bundlers
//   tokenizer.js   tokenizers alone, in one file
//   workerd.js     for runtimes that compile no WebAssembly: imports simd.wasm and relaxed.wasm beside it
//   worker.js      a compute thread as a file, for pages that allow no `blob:` workers
//   cli.js         the command line
// Each but the last has its declarations beside it, in one file too, which Deno finds by the first line.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { joinDeclarations } from "./declarations.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const { version, license } = JSON.parse(readFileSync(`${root}package.json`, "utf8"));
const NOTICE = `/*! cria ${version}, ${license}. Contains @assemblyscript/loader, Apache-2.0. */`;

const library = ["mod", "tokenizer", "workerd", "worker"];

/** What a source file of src/ is called in dist/. */
function outputName(entry) {
  return entry === "mod" ? "cria" : entry;
}

/** A function from a variant to its module, out of the generated files that carry them. */
export async function kernelBytes() {
  const bundle = await build({
    ...common,
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
  minify: true,
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

function bundleLibrary(folder, entry) {
  const name = outputName(entry);
  return build({
    ...common,
    entryPoints: [`${root}src/${entry}.ts`],
    outfile: join(folder, `${name}.js`),
    banner: { js: `// @ts-self-types="./${name}.d.ts"\n${NOTICE}` },
    plugins: entry === "workerd" ? [staticModules] : [],
  });
}

function bundleCommandLine(folder) {
  return build({
    ...common,
    platform: "node",
    entryPoints: [`${root}src/cli/main.ts`],
    outfile: join(folder, "cli.js"),
    banner: { js: `#!/usr/bin/env node\n${NOTICE}` },
  });
}

/** Makes all of dist/ anew, in `folder`. */
export async function buildDist(folder) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  await Promise.all([...library.map((entry) => bundleLibrary(folder, entry)), bundleCommandLine(folder)]);
  const bytesOf = await kernelBytes();
  for (const variant of ["simd", "relaxed"]) writeFileSync(join(folder, `${variant}.wasm`), bytesOf(variant));
  const declarations = joinDeclarations(library.map((entry) => `${root}src/${entry}.ts`));
  library.forEach((entry, i) => {
    writeFileSync(join(folder, `${outputName(entry)}.d.ts`), declarations[i]);
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await buildDist(process.argv[2] ?? `${root}dist`);
}
