// How the house is kept: lengths, crowds, first lines, and exports that somebody uses.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Longest function of src/, in lines. */
const MAX_LINES = 60;
/** Most files of one folder. */
const MAX_FILES = 20;

// Loops that interpret: one branch for each operation is read more easily in one piece.
const interpreters = ["src/tokenizer/huggingface/regex.ts run"];

function files(...folders: string[]): string[] {
  return folders.flatMap((folder) =>
    readdirSync(`${root}${folder}`, { recursive: true, encoding: "utf8" })
      .map((name) => `${folder}/${name.replaceAll("\\", "/")}`)
      .filter((name) => /\.(ts|mjs)$/.test(name) && !/\.d\.ts$|\.gen\.ts$|node_modules/.test(name))
      .sort(),
  );
}

function read(file: string): string {
  return readFileSync(root + file, "utf8");
}

function parsed(file: string): ts.SourceFile {
  return ts.createSourceFile(file, read(file), ts.ScriptTarget.ESNext, true);
}

interface Lengthy {
  readonly name: string;
  readonly lines: number;
}

function longFunctions(file: string): Lengthy[] {
  const source = parsed(file);
  const lineOf = (at: number) => source.getLineAndCharacterOfPosition(at).line;
  const found: Lengthy[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node) && "body" in node && node.body) {
      const lines = lineOf(node.end) - lineOf(node.getStart()) + 1;
      if (lines > MAX_LINES) found.push({ name: `${file} ${node.name?.getText() ?? "(anonymous)"}`, lines });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

// Functions, classes and constants that a file exports under their own names.
function exportedValues(file: string): string[] {
  return parsed(file).statements.flatMap((statement) => {
    const modifiers = ts.canHaveModifiers(statement) ? (ts.getModifiers(statement) ?? []) : [];
    if (!modifiers.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword)) return [];
    if (ts.isFunctionDeclaration(statement) || ts.isClassDeclaration(statement)) {
      return statement.name ? [statement.name.text] : [];
    }
    if (!ts.isVariableStatement(statement)) return [];
    return statement.declarationList.declarations.flatMap(({ name }) =>
      ts.isIdentifier(name) ? [name.text] : [],
    );
  });
}

describe("the house", () => {
  it(`has no function of src/ longer than ${MAX_LINES} lines but interpreters`, () => {
    const long = files("src").flatMap(longFunctions);
    assert.deepEqual(
      long.filter(({ name }) => !interpreters.includes(name)),
      [],
    );
    for (const name of interpreters)
      assert.ok(
        long.some((other) => other.name === name),
        `${name} is short`,
      );
  });

  it(`has no folder of more than ${MAX_FILES} files in src/ and assembly/`, () => {
    const counts = new Map<string, number>();
    for (const file of files("src", "assembly")) {
      const folder = file.slice(0, file.lastIndexOf("/"));
      counts.set(folder, (counts.get(folder) ?? 0) + 1);
    }
    assert.deepEqual(
      [...counts].filter(([, n]) => n > MAX_FILES),
      [],
    );
  });

  it("says in the first line of a file what the file is", () => {
    const silent = files("src", "assembly", "bench", "scripts").filter((file) => {
      const text = read(file).replace(/^#!.*\n/, "");
      // A comment that stands by itself: what follows it is not what it documents.
      const block = /^\/\*\*(?:(?!\*\/)[\s\S])*\*\/\n/.exec(text)?.[0];
      if (block === undefined) return !/^\/\/ \S/.test(text);
      return !(block.includes("@module") || /^(\n|import )/.test(text.slice(block.length)));
    });
    assert.deepEqual(silent, []);
  });

  it("exports from src/ what another file uses, and nothing else", () => {
    const all = [...files("src", "tests", "bench", "scripts", "examples")].map(
      (file) => [file, read(file)] as const,
    );
    const unused = files("src").flatMap((file) =>
      exportedValues(file)
        .filter((name) => {
          const word = new RegExp(`\\b${name.replace("$", "\\$")}\\b`);
          return !all.some(([other, text]) => other !== file && word.test(text));
        })
        .map((name) => `${file} ${name}`),
    );
    assert.deepEqual(unused, []);
  });
});
