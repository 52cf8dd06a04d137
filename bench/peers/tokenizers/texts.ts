// About a megabyte of text of each kind, taken from the installed packages. The same lockfile gives the same texts.
import { existsSync, globSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { sharedPath } from "../../shared.ts";

const LENGTH = 1_000_000;
const modules = fileURLToPath(new URL("../../../node_modules/", import.meta.url));

/** A text and its name. */
export interface Text {
  readonly name: string;
  readonly text: string;
  /** UTF-8 bytes. */
  readonly bytes: number;
}

function read(path: string): string {
  return readFileSync(path, "utf8");
}

function english(): string {
  const story = sharedPath("text/botchan.txt");
  const guides = globSync("**/*.md", { cwd: modules })
    .sort()
    .map((name) => modules + name)
    .filter((path) => existsSync(path));
  return (story ? read(story) : "") + guides.map(read).join("\n");
}

function code(): string {
  return read(`${modules}typescript/lib/_tsc.js`).slice(100_000);
}

// Messages of the TypeScript compiler, in both Chinese scripts and in Japanese.
function chineseAndJapanese(): string {
  return ["zh-cn", "zh-tw", "ja"]
    .flatMap((language) => {
      const messages = JSON.parse(
        read(`${modules}typescript/lib/${language}/diagnosticMessages.generated.json`),
      );
      return Object.values(messages as Record<string, string>);
    })
    .join("\n");
}

// The first bytes of a text, up to the end of a character.
function cut(name: string, text: string): Text {
  let kept = text.slice(0, LENGTH);
  for (let bytes = utf8Length(kept); bytes > LENGTH; bytes = utf8Length(kept)) {
    kept = kept.slice(0, Math.floor((kept.length * LENGTH) / bytes));
  }
  kept = kept.toWellFormed().replace(/\ufffd$/, "");
  return { name, text: kept, bytes: utf8Length(kept) };
}

function utf8Length(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** Texts as people write them. */
export function naturalTexts(): Text[] {
  return [cut("English", english()), cut("code", code()), cut("Chinese and Japanese", chineseAndJapanese())];
}

/** Texts that make careless tokenizers slow. */
export function hardTexts(): Text[] {
  const letters = english().replace(/[^A-Za-z]+/g, "");
  return [
    cut("one letter", "a".repeat(LENGTH)),
    cut("one emoji", "\u{1f999}".repeat(LENGTH / 4)),
    cut("spaces", " ".repeat(LENGTH)),
    cut("digits", Array.from({ length: LENGTH }, (_, i) => (i * 7919) % 10).join("")),
    cut("no space", letters),
  ];
}
