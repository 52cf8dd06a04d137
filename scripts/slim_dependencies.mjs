// Leaves out of the bundles what cria never reaches in the packages that they contain.
import { readFileSync } from "node:fs";
import { sep } from "node:path";
import ts from "typescript";
import { visitAll } from "./source_edits.mjs";

/**
 * What is left out of a package's script. esbuild then leaves out what nothing refers to any more.
 * - `cases`: of the switch in a function or method, by its name
 * - `statements`: by their first characters
 * - `functions`: they get other code, which does the same for all that cria gives them
 * - `constants`: objects of texts, whose properties become these texts
 * - `pure`: constants whose making has no effects, so that they go if nothing needs them
 */
const cuts = {
  // Only its parser is used (docs/adr/0018-chat-templates.md). The statement would keep a class of its interpreter, and what that needs.
  "@huggingface/jinja/dist/index.js": {
    version: "0.5.11",
    cases: { parseAny: "TOKEN_TYPES.Comment" },
    statements: ['__publicField(Environment, "TESTS",'],
    pure: ["TOKEN_TYPES", "PRECEDENCE"],
    constants: ["TOKEN_TYPES"],
  },
  // Kernels import a memory, export functions by plain names, and have no objects (scripts/package_check.mjs looks).
  "@assemblyscript/loader/index.js": {
    version: "0.28.20",
    statements: ["Object.hasOwn =", "const utf16 ="],
    functions: {
      instantiateSync: `(module, imports) {
  const instance = new WebAssembly.Instance(module, imports);
  return { module, instance, exports: { ...instance.exports } };
}`,
    },
  },
  // The server has no web sockets.
  "@hono/node-server/dist/index.mjs": {
    version: "2.1.9",
    statements: ["if (options.websocket &&", "const CloseEvent =", "const ErrorEvent ="],
    pure: ["upgradeWebSocket"],
  },
};

/** A plugin of esbuild that leaves out what {@link cuts} names. @throws Error for what is not as it was */
export const slimDependencies = {
  name: "slim-dependencies",
  setup(build) {
    build.onLoad({ filter: /[\\/]node_modules[\\/]/ }, ({ path }) => {
      const [folder, file] = path
        .split(sep)
        .join("/")
        .split(/(?<=.*\/node_modules\/)(?!.*\/node_modules\/)/);
      const cut = cuts[file];
      if (!cut) return undefined;
      const name = file.split("/", 2).join("/");
      const { version } = JSON.parse(readFileSync(`${folder}${name}/package.json`, "utf8"));
      if (version !== cut.version) {
        throw new Error(
          `Cannot slim ${name}: Expected version ${cut.version}, got ${version}. Look at scripts/slim_dependencies.mjs anew`,
        );
      }
      return { contents: slimmed(readFileSync(path, "utf8"), cut), loader: "js" };
    });
  },
};

/**
 * A script without what `cut` names.
 * @throws Error for what is not there exactly once
 */
export function slimmed(text, cut) {
  const edits = editsOf(nodesOf(text), cut);
  let script = text;
  for (const { node, text: code } of edits.sort((a, b) => b.node.getStart() - a.node.getStart())) {
    script = script.slice(0, node.getStart()) + code + script.slice(node.end);
  }
  return script;
}

function editsOf(nodes, cut) {
  const only = (what, matches) => {
    const found = nodes.filter(matches);
    if (found.length === 1) return found[0];
    throw new Error(`Cannot leave out ${what}: Expected it once, got it ${found.length} times`);
  };
  const drop = (what, matches) => ({ node: only(what, matches), text: "" });
  const edits = [
    ...pairs(cut.cases).map(([owner, label]) => drop(`case ${label}`, (node) => isCase(node, owner, label))),
    ...(cut.statements ?? []).map((begin) =>
      drop(begin, (node) => ts.isStatement(node) && node.getText().startsWith(begin)),
    ),
    ...Object.entries(cut.functions ?? {}).map(([name, code]) => {
      const node = only(name, (node) => ts.isFunctionDeclaration(node) && nameOf(node) === name);
      const isExported = node.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword);
      return { node, text: `${isExported ? "export " : ""}function ${name}${code}` };
    }),
  ];
  for (const name of cut.pure ?? []) {
    const { initializer } = only(name, (node) => ts.isVariableDeclaration(node) && nameOf(node) === name);
    edits.push({ node: initializer, text: `/* @__PURE__ */ ${initializer.getText()}` });
  }
  // What is within a part that goes needs no edit of its own.
  const isLeft = ({ pos, end }) => !edits.some(({ node }) => node.pos <= pos && end <= node.end);
  return [
    ...edits,
    ...(cut.constants ?? []).flatMap((name) => inlined(nodes, name)).filter(({ node }) => isLeft(node)),
  ];
}

/** Edits that put the texts of a constant object where its properties are named. */
function inlined(nodes, constant) {
  const isConstant = (node) => ts.isVariableDeclaration(node) && nameOf(node) === constant;
  const texts = new Map();
  visitAll(nodes.find(isConstant), (node) => {
    if (ts.isPropertyAssignment(node)) texts.set(nameOf(node), node.initializer.text);
  });
  return nodes
    .filter((node) => ts.isPropertyAccessExpression(node) && node.expression.getText() === constant)
    .map((node) => {
      const text = texts.get(node.name.text);
      if (text === undefined) throw new Error(`Cannot write out ${node.getText()}: Expected a text`);
      return { node, text: JSON.stringify(text) };
    });
}

/** Whether a node is the case of `label`, a text or a constant's property, in the function or method `owner`. */
function isCase(node, owner, label) {
  if (!ts.isCaseClause(node) || (node.expression.text ?? node.expression.getText()) !== label) return false;
  let at = node;
  while (!ts.isFunctionLike(at)) at = at.parent;
  // One that ends elsewhere would let the next one run.
  return nameOf(at) === owner && node.statements.length > 0;
}

const words = (names = "") => names.split(" ").filter((name) => name);
const pairs = (lists = {}) =>
  Object.entries(lists).flatMap(([owner, names]) => words(names).map((name) => [owner, name]));
const nameOf = (node) => node?.name?.text;

function nodesOf(text) {
  const nodes = [];
  const file = ts.createSourceFile("script.js", text, ts.ScriptTarget.ESNext, true, ts.ScriptKind.JS);
  visitAll(file, (node) => nodes.push(node));
  return nodes;
}
