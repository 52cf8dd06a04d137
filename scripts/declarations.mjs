// Joins the declarations of an entry into one self-contained file: every type that is reachable from the entry's exports, and
// nothing else. TypeScript itself emits a declaration file for each source file.
import { dirname, resolve } from "node:path";
import ts from "typescript";

const options = {
  target: ts.ScriptTarget.ESNext,
  module: ts.ModuleKind.Preserve,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  lib: ["lib.esnext.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts", "lib.dom.asynciterable.d.ts"],
  types: ["bun-types"],
  allowImportingTsExtensions: true,
  strict: true,
  skipLibCheck: true,
};

/** TypeScript's declarations of the entries and of everything they import: path -> text. */
function declareEach(entries) {
  const declared = new Map();
  const program = ts.createProgram(entries, {
    ...options,
    declaration: true,
    emitDeclarationOnly: true,
    stripInternal: true,
  });
  const { diagnostics } = program.emit(undefined, (path, text) => declared.set(resolve(path), text));
  // Type errors of the sources are the type check's to report.
  const [error] = diagnostics;
  if (error)
    throw new Error(`Cannot declare types: ${ts.flattenDiagnosticMessageText(error.messageText, "\n")}`);
  return declared;
}

/** A TypeScript program of declarations in memory. */
function programOf(declared) {
  const host = ts.createCompilerHost(options);
  const { fileExists, readFile, getSourceFile } = host;
  host.fileExists = (path) => declared.has(path) || fileExists(path);
  host.readFile = (path) => declared.get(path) ?? readFile(path);
  host.getSourceFile = (path, ...rest) =>
    declared.has(path)
      ? ts.createSourceFile(path, declared.get(path), ts.ScriptTarget.ESNext, true)
      : getSourceFile(path, ...rest);
  // Declarations import each other by the names of their source files.
  host.resolveModuleNameLiterals = (literals, from) =>
    literals.map(({ text }) => {
      const path = resolve(dirname(from), text.replace(/\.ts$/, ".d.ts"));
      const known = declared.has(path);
      return { resolvedModule: known ? { resolvedFileName: path, extension: ".d.ts" } : undefined };
    });
  return ts.createProgram([...declared.keys()], options, host);
}

const isStatement = (node) => ts.isSourceFile(node.parent);

/** The top-level statement of a declaration; undefined for members and parameters. */
function statementOf(declaration) {
  const statement = ts.isVariableDeclaration(declaration) ? declaration.parent.parent : declaration;
  return statement.parent && isStatement(statement) ? statement : undefined;
}

class Joiner {
  #checker;
  #declared;
  #names = new Map();
  #taken = new Set();
  #queue = [];

  constructor(program, declared) {
    this.#checker = program.getTypeChecker();
    this.#declared = declared;
  }

  join(entry) {
    const exported = this.#checker.getExportsOfModule(this.#checker.getSymbolAtLocation(entry));
    const list = exported.map((symbol) => {
      const name = this.#nameOf(this.#target(symbol), symbol.name);
      return name === symbol.name ? name : `${name} as ${symbol.name}`;
    });
    const texts = [];
    // Printing a declaration may add others to the queue.
    for (const symbol of this.#queue) texts.push(...this.#print(symbol));
    return `${texts.join("\n")}\nexport { ${list.sort().join(", ")} };\n`;
  }

  #target(symbol) {
    return symbol.flags & ts.SymbolFlags.Alias ? this.#checker.getAliasedSymbol(symbol) : symbol;
  }

  /** The name in the joined file of one of our declarations; undefined for declarations of the language. */
  #nameOf(symbol, wanted = symbol.name) {
    const known = this.#names.get(symbol);
    if (known) return known;
    const statement = symbol.declarations?.map(statementOf).find((found) => found);
    if (!statement || !this.#declared.has(statement.getSourceFile().fileName)) return undefined;
    let name = wanted;
    for (let i = 2; this.#taken.has(name); i++) name = `${wanted}${i}`;
    this.#taken.add(name);
    this.#names.set(symbol, name);
    this.#queue.push(symbol);
    return name;
  }

  #print(symbol) {
    const statements = new Set(symbol.declarations.map(statementOf));
    return [...statements].map((statement) => {
      const text = this.#rename(statement);
      const kind = /^(export )?(declare )?(?=(abstract )?(class|const|let|function|enum|interface|type)\b)/m;
      return text.trim().replace(kind, () => (this.#isType(statement) ? "" : "declare "));
    });
  }

  #isType(statement) {
    return ts.isInterfaceDeclaration(statement) || ts.isTypeAliasDeclaration(statement);
  }

  /** The text of a statement, with the joined names of our declarations. */
  #rename(statement) {
    const file = statement.getSourceFile();
    const edits = [];
    const visit = (node) => {
      if (ts.isImportTypeNode(node)) {
        if (!node.qualifier || !ts.isIdentifier(node.qualifier)) throw this.#unknown(node);
        edits.push([node.getStart(), node.qualifier.end, this.#reference(node.qualifier)]);
        node.typeArguments?.forEach(visit);
        return;
      }
      if (ts.isIdentifier(node)) {
        const name = this.#reference(node);
        if (name && name !== node.text) edits.push([node.getStart(), node.end, name]);
      }
      ts.forEachChild(node, visit);
    };
    visit(statement);
    const begin = statement.getFullStart();
    let text = file.text.slice(begin, statement.end);
    for (const [from, to, name] of edits.sort((a, b) => b[0] - a[0])) {
      text = text.slice(0, from - begin) + name + text.slice(to - begin);
    }
    return this.#ownComment(text);
  }

  /** Removes leading comments except the last, because they belong to the file. */
  #ownComment(text) {
    const comments = [...text.matchAll(/^\/\*\*[\s\S]*?\*\/\n/gm)];
    const first = /^(export|declare|interface|type|class)\b/m.exec(text)?.index ?? 0;
    const own = comments.filter(({ index }) => index < first).at(-1);
    return own ? text.slice(own.index) : text.slice(first);
  }

  #reference(identifier) {
    const symbol = this.#checker.getSymbolAtLocation(identifier);
    if (!symbol) return undefined;
    const target = this.#target(symbol);
    const imported = symbol.flags & ts.SymbolFlags.Alias;
    // A type of a package, or a module as a namespace.
    if (imported && (target.escapedName === "unknown" || target.flags & ts.SymbolFlags.Module)) {
      throw this.#unknown(identifier);
    }
    return this.#nameOf(target);
  }

  #unknown(node) {
    const { fileName } = node.getSourceFile();
    return new Error(`Cannot join declarations: ${fileName} refers to ${node.getText()}, which is not ours`);
  }
}

/** The first comment of a file. */
function moduleComment(text) {
  return /^\/\*\*[\s\S]*?\*\/\n/.exec(text)?.[0] ?? "";
}

/** The joined declarations of each entry, in the order of the paths. */
export function joinDeclarations(entries) {
  const declared = declareEach(entries);
  const program = programOf(declared);
  return entries.map((entry) => {
    const path = resolve(entry.replace(/\.ts$/, ".d.ts"));
    const joined = new Joiner(program, declared).join(program.getSourceFile(path));
    // Without this, a project whose `lib` is older than AsyncDisposable could not use the file.
    return `/// <reference lib="esnext.disposable" />\n${moduleComment(declared.get(path))}${joined}`;
  });
}
