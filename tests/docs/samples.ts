// Samples of the documentation: every fenced block of a page, and of the comments of src/, and what a comment before
// it says of how it is run.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../support/package.ts";

/** A fenced block. */
export interface Sample {
  /** "docs/edge.md:12" */
  readonly place: string;
  readonly page: string;
  /** What follows the fence: "ts", "sh", "". */
  readonly language: string;
  /** What `<!-- sample: ... -->` in the line before says; for CONTRIBUTING.md to list. Undefined without one. */
  readonly directive: string | undefined;
  readonly text: string;
}

/** Folders that hold nothing of the repository's own. */
const foreign = new Set(["node_modules", ".git", ".cache", "dist", "build"]);

function files(folder: string, suffix: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true })
    .filter(({ name }) => !foreign.has(name))
    .flatMap((entry) => {
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory()) return files(path, suffix);
      return entry.name.endsWith(suffix) ? [path] : [];
    })
    .sort();
}

/** The samples of a text. @throws Error where a fence is not closed or a directive stands before no fence */
export function samplesIn(page: string, text: string): Sample[] {
  const samples: Sample[] = [];
  const lines = text.split("\n");
  let open: { language: string; line: number; indent: number; directive: string | undefined } | undefined;
  let body: string[] = [];
  let directive: string | undefined;
  lines.forEach((line, i) => {
    const fence = /^( *)(?:```|~~~)(.*)$/.exec(line);
    if (open) {
      if (!fence) body.push(line.slice(open.indent));
      else {
        samples.push({
          place: `${page}:${open.line}`,
          page,
          language: open.language,
          directive: open.directive,
          text: `${body.join("\n")}\n`,
        });
        open = undefined;
      }
      return;
    }
    if (fence) {
      open = {
        language: fence[2]?.trim() ?? "",
        line: i + 1,
        indent: fence[1]?.length ?? 0,
        directive,
      };
      body = [];
      directive = undefined;
      return;
    }
    if (directive !== undefined) throw new Error(`${page}:${i}: no sample follows "${directive}"`);
    directive = /^ *<!-- sample: (.+) -->$/.exec(line)?.[1];
  });
  if (open) throw new Error(`${page}:${open.line}: the sample is not closed`);
  return samples;
}

/** Every page of documentation that this repository has. */
export function pages(): string[] {
  return files("", ".md");
}

/** The samples of a page. */
export function samplesOf(page: string): Sample[] {
  return samplesIn(page, readFileSync(join(root, page), "utf8"));
}

/** The samples in the documentation comments of src/. */
export function samplesOfComments(): Sample[] {
  return files("src", ".ts").flatMap((path) => {
    const text = readFileSync(join(root, path), "utf8");
    // Everything but comments becomes empty lines, so that line numbers stay.
    const lines = text.split("\n").map((line) => /^ *\* ?(.*)$/.exec(line)?.[1] ?? "");
    return samplesIn(path, lines.join("\n"));
  });
}
