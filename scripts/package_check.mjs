// Makes dist/ and checks the packages for npm and JSR: exports, files and versions must agree, and sizes must be within their
// limits. Prints the sizes.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { buildDist, kernelBytes, MAX_LINE } from "./dist.mjs";

/** The unit of limits and of printed sizes. */
const KIB = 1024;
/** Limits that hold; scripts are gzipped. Those above what is wanted only notice growth. */
const LIMITS = {
  scripts: {
    "cria.js": 246 * KIB,
    "tokenizer.js": 96 * KIB,
    "tokenizer_train.js": 48 * KIB,
    "convert.js": 133 * KIB,
    "models.js": 27 * KIB,
    // Beyond cria.js: a model is given to it.
    "server.js": 40 * KIB,
    "ai_sdk.js": 12 * KIB,
    "workerd.js": 240 * KIB,
    "worker.js": KIB,
    "cli.js": 342 * KIB,
  },
  llamaAlone: 183 * KIB,
  wasm: 116 * KIB,
  tarball: 8_230_000,
};
/** What is wanted instead, and not met yet. docs/adr/0008-budgets.md gives the reasons. */
const WANTED = {
  "convert.js": 124 * KIB,
  "cria.js": 160 * KIB,
  "tokenizer.js": 64 * KIB,
  "workerd.js": 150 * KIB,
  "cli.js": 196 * KIB,
  llamaAlone: 110 * KIB,
};

/** The order of export conditions. With this order every runtime and bundler resolved the right file. */
const CONDITIONS = "types workerd edge-light netlify deno bun worker browser node default".split(" ");

const root = fileURLToPath(new URL("..", import.meta.url));
const read = (path) => readFileSync(`${root}${path}`, "utf8");
const problems = [];

function check(right, problem) {
  if (!right) problems.push(problem);
}

function run(command, args) {
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, NO_COLOR: "1" },
  });
  check(status === 0, `${command} ${args.join(" ")} failed:\n${stderr}`);
  return { stdout, stderr };
}

function sorted(names) {
  return [...names].sort().join(", ");
}

/** The names that a bundle's `export{a,b as c}` exports. */
function exportedNames(text) {
  const [, list = ""] = /export\s*\{([^{}]*)\};?\s*(?:\/\/# \S+\s*)?$/.exec(text) ?? [];
  return list
    .split(",")
    .map((item) =>
      item
        .trim()
        .split(/\s+as\s+/)
        .at(-1),
    )
    .filter((name) => name);
}

const npm = JSON.parse(read("package.json"));
const jsr = JSON.parse(read("deno.json"));
const metafiles = await buildDist(`${root}dist`);

// Exports: conditions are in order, every target exists, and package.json names every file of dist/.
const targets = new Set(Object.values(npm.bin).map((path) => `./${path}`));
for (const [name, target] of Object.entries(npm.exports)) {
  if (typeof target === "string") {
    targets.add(target);
    continue;
  }
  const given = Object.keys(target);
  const order = CONDITIONS.filter((condition) => given.includes(condition));
  check(given.join() === order.join(), `exports["${name}"]: Expected the order ${order}, got ${given}`);
  const isTypesOnly = name.startsWith("./gguf/") && given.length === 1;
  check(
    given[0] === "types" && (given.at(-1) === "default" || isTypesOnly),
    `exports["${name}"]: no types or no default`,
  );
  for (const path of Object.values(target)) targets.add(path);
}
check(
  Object.keys(npm.exports["."]).join() === CONDITIONS.join(),
  `exports["."]: Expected the conditions ${CONDITIONS}`,
);
for (const path of targets) {
  check(
    path.includes("*") || existsSync(`${root}${path}`),
    `package.json names ${path}, which does not exist`,
  );
}
const besideWorkerd = ["simd.wasm", "relaxed.wasm"];
for (const name of readdirSync(`${root}dist`)) {
  check(
    targets.has(`./dist/${name.replace(/\.map$/, "")}`) || besideWorkerd.includes(name),
    `dist/${name} is not named in package.json`,
  );
}

// JSR has the same entries, versions and dependencies.
for (const [name, path] of Object.entries(jsr.exports)) {
  check(existsSync(`${root}${path}`), `deno.json names ${path}, which does not exist`);
  check(name === "./cli" || name in npm.exports, `deno.json exports ${name}, package.json does not`);
}
check(npm.version === jsr.version, `Versions differ: package.json ${npm.version}, deno.json ${jsr.version}`);
check(npm.license === jsr.license, `Licences differ: package.json ${npm.license}, deno.json ${jsr.license}`);
check(read("src/util/version.ts").includes(`"${npm.version}"`), "src/util/version.ts has another version");
check(npm.dependencies === undefined, "The package has dependencies: bundle them");
for (const [name, target] of Object.entries(jsr.imports)) {
  if (!target.startsWith("npm:")) continue;
  const pinned = `npm:${name}@${npm.devDependencies[name]}`;
  check(target === pinned, `deno.json: Expected ${pinned}, got ${target}`);
}
const { stderr: published } = run(`${root}node_modules/.bin/deno`, [
  ..."publish --dry-run --allow-dirty".split(" "),
]);
const models = readdirSync(`${root}models`, { recursive: true })
  .map((name) => `models/${name.replaceAll("\\", "/")}`)
  .filter((path) => statSync(root + path).isFile());
const embedded = [...read("src/package.ts").matchAll(/"\.\.\/(models\/[^"]+)"/g)].map(([, path]) => path);
check(embedded.length > 0, "src/package.ts names no model");
for (const path of embedded)
  check(models.includes(path), `src/package.ts names ${path}, which does not exist`);
for (const path of [...Object.values(jsr.exports), ...models]) {
  check(published.includes(path.replace("./", "/")), `JSR's package lacks ${path}`);
}
for (const path of ["/tests/", "/bench/", "/dist/", ".wasm "]) {
  check(!published.includes(path), `JSR's package holds ${path}`);
}

// Bundles are complete, name no file that a bundler would look for, and declare what they export.
for (const entry of [
  "cria",
  "tokenizer",
  "tokenizer_train",
  "convert",
  "models",
  "server",
  "ai_sdk",
  "workerd",
]) {
  const text = read(`dist/${entry}.js`);
  const names = exportedNames(text);
  const declared = exportedNames(read(`dist/${entry}.d.ts`));
  const missing = names.filter((name) => !declared.includes(name));
  check(names.length > 0, `dist/${entry}.js exports nothing`);
  check(missing.length === 0, `dist/${entry}.d.ts lacks ${missing}`);
  check(text.startsWith(`// @ts-self-types="./${entry}.d.ts"\n`), `dist/${entry}.js does not name its types`);
  check(
    !/new URL\(\s*["'`][^"'`]*["'`]\s*,\s*import\.meta/.test(text),
    `dist/${entry}.js: a bundler would look for the file of a new URL("...")`,
  );
  const imports = [...text.matchAll(/(?:^|[;}\n])import\b[^(.][^;"]*"([^"]+)"/g)].map((match) => match[1]);
  const allowed = entry === "workerd" ? besideWorkerd.map((name) => `./${name}`) : [];
  check(sorted(imports) === sorted(allowed), `dist/${entry}.js imports ${imports}`);
  check(!/\bimport\("/.test(text), `dist/${entry}.js imports while it runs`);
}
const core = exportedNames(read("dist/cria.js"));
const edge = exportedNames(read("dist/workerd.js"));
check(
  core.every((name) => edge.includes(name)),
  `dist/workerd.js exports ${edge}, dist/cria.js ${core}`,
);

// Errors are readable: Node prints one line of the script for an uncaught error, and stack traces have names.
for (const name of readdirSync(`${root}dist`).filter((name) => name.endsWith(".js"))) {
  const lines = read(`dist/${name}`).split("\n");
  const longest = Math.max(...lines.map((line) => line.length));
  check(longest <= MAX_LINE, `dist/${name}: a line of ${longest} characters, at most ${MAX_LINE}`);
  const { sources, file } = JSON.parse(read(`dist/${name}.map`));
  check(file === name && sources.length > 0, `dist/${name}.map is not of ${name}`);
  check(lines.at(-2) === `//# sourceMappingURL=${name}.map`, `dist/${name} does not name its source map`);
  for (const source of sources) {
    check(
      existsSync(new URL(source, `file://${root}dist/`)),
      `dist/${name}.map names ${source}, which does not exist`,
    );
  }
}
const { stdout: ownVersion } = run("node", ["dist/cli.js", "--version"]);
check(ownVersion === `cria ${npm.version}\n`, `dist/cli.js --version: ${ownVersion}`);
for (const entry of ["cria", "tokenizer", "tokenizer_train", "convert", "models", "server", "ai_sdk"]) {
  const library = await import(pathToFileURL(`${root}dist/${entry}.js`).href);
  for (const [name, value] of Object.entries(library)) {
    if (typeof value === "function") {
      check(value.name === name, `dist/${entry}.js: ${name} calls itself ${value.name}`);
    }
  }
}

// Sizes.
const size = (bytes) => `${(bytes / KIB).toFixed(1)} KB`;
const gzipped = (text) => gzipSync(text, { level: 9 }).length;
const bounds = (limit, wanted) =>
  wanted ? `held at ${size(limit)}, wanted ${size(wanted)}` : `at most ${size(limit)}`;

/** The share of each folder in a bundle, before it is minified. */
function shares({ inputs, outputs }) {
  const { inputs: parts } = Object.values(outputs).find((output) => output.entryPoint);
  const folders = new Map();
  for (const path of Object.keys(inputs)) {
    const folder = /^(src\/[^/]+(?=\/)|[^/]+(?:\/@?[^/]+)?)/.exec(path)[1];
    folders.set(folder, (folders.get(folder) ?? 0) + (parts[path]?.bytesInOutput ?? 0));
  }
  const total = [...folders.values()].reduce((sum, bytes) => sum + bytes, 0);
  return [...folders]
    .sort((a, b) => b[1] - a[1])
    .map(([folder, bytes]) => `${folder.replace("src/", "")} ${((100 * bytes) / total).toFixed(1)} %`)
    .join(", ");
}

for (const name of readdirSync(`${root}dist`).filter((name) => name.endsWith(".js"))) {
  const text = read(`dist/${name}`);
  const packed = gzipped(text);
  const limit = LIMITS.scripts[name];
  const most = limit ? ` (${bounds(limit, WANTED[name])})` : "";
  console.log(`dist/${name}: ${size(Buffer.byteLength(text))}, ${size(packed)} gzipped${most}`);
  console.log(`  of which ${shares(metafiles[name.replace(".js", "")])}`);
  if (limit) check(packed <= limit, `dist/${name}: ${packed} bytes gzipped, at most ${limit}`);
}

// What a page has that takes in nothing but Llama, by a bundler that drops the rest.
const alone = await build({
  stdin: { contents: 'export { Llama } from "./dist/cria.js";', resolveDir: root },
  ...{ bundle: true, minify: true, format: "esm", target: "es2022", charset: "utf8", write: false },
});
const aloneBytes = gzipped(alone.outputFiles[0].contents);
console.log(`Llama alone: ${size(aloneBytes)} gzipped (${bounds(LIMITS.llamaAlone, WANTED.llamaAlone)})`);
check(
  aloneBytes <= LIMITS.llamaAlone,
  `Llama alone: ${aloneBytes} bytes gzipped, at most ${LIMITS.llamaAlone}`,
);

const bytesOf = await kernelBytes();
for (const variant of ["simd", "relaxed", "simd-shared", "relaxed-shared"]) {
  const { length } = bytesOf(variant);
  console.log(`${variant} module: ${size(length)}`);
  check(length <= LIMITS.wasm, `The module ${variant} has ${length} bytes, at most ${LIMITS.wasm}`);
}

// Bundles have no more of the AssemblyScript loader than these modules need (scripts/slim_dependencies.mjs). Node compiles no
// relaxed ones, which are of the same sources.
for (const variant of ["simd", "simd-shared"]) {
  const module = new WebAssembly.Module(bytesOf(variant));
  const imports = WebAssembly.Module.imports(module).map(({ module, name }) => `${module}.${name}`);
  const special = WebAssembly.Module.exports(module).filter(({ name }) => !/^[a-z]\w*$/.test(name));
  check(imports.join() === "env.memory", `The module ${variant} imports ${imports}`);
  check(special.length === 0, `The module ${variant} exports ${special.map(({ name }) => name)}`);
}

// npm would publish exactly dist/, models/, src/ (for the source maps, therefore without generated text) and the files that it always includes.
const [pack] = JSON.parse(run("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"]).stdout);
const expected = [
  ...["package.json", "README.md", "LICENSE"],
  ...readdirSync(`${root}dist`).map((name) => `dist/${name}`),
  ...models,
  ...readdirSync(`${root}src`, { recursive: true })
    .filter((name) => statSync(`${root}src/${name}`).isFile() && !name.endsWith(".gen.ts"))
    .map((name) => `src/${name}`),
];
const files = pack.files.map(({ path }) => path);
check(sorted(files) === sorted(expected), `npm pack: Expected ${sorted(expected)}\ngot ${sorted(files)}`);
check(pack.size <= LIMITS.tarball, `npm pack: ${pack.size} bytes, at most ${LIMITS.tarball}`);
const modelBytes = pack.files
  .filter(({ path }) => path.startsWith("models/"))
  .reduce((sum, file) => sum + file.size, 0);
console.log(
  `tarball: ${size(pack.size)}; unpacked ${size(pack.unpackedSize)}, of which models ${size(modelBytes)}`,
);

for (const problem of problems) console.error(`PROBLEM: ${problem}`);
process.exitCode = problems.length > 0 ? 1 : 0;
if (problems.length === 0) console.log("exports, JSR, files, versions and sizes agree");
