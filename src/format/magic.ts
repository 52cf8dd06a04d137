// What the first bytes of a file that cria cannot read say it is.
import { FormatError } from "../util/errors.ts";

/** Bytes that {@link describeMagic} and {@link unknownFormat} look at. */
export const MAGIC_BYTES = 28;

const knownFormats = "GGUF (versions 2 and 3) and llama2.c .bin (legacy, 1 and 2)";

const signatures: readonly (readonly [string, string])[] = [
  ["PK\x03\x04", "a zip archive, as PyTorch writes"],
  ["\x80\x02", "a Python pickle, as PyTorch writes"],
  ["\x80\x04", "a Python pickle"],
  ["\x1f\x8b", "a gzip archive"],
  ["\x28\xb5\x2f\xfd", "a zstd archive"],
  ["version https://git-lfs", "a Git LFS pointer, not the file itself"],
  ["<!doctype", "a web page"],
  ["<html", "a web page"],
  ["<?xml", "XML"],
  ["FUGG", "GGUF's name backwards"],
  ...["lmgg", "fmgg", "tjgg", "algg", "ggml", "ggmf", "ggjt", "ggla"].map(
    (magic) => [magic, "ggml's format from before GGUF; convert it to GGUF"] as const,
  ),
];

/** What a file's first bytes are: `"PK\u0003\u0004" (a zip archive, as PyTorch writes)`. */
export function describeMagic(head: Uint8Array): string {
  const text = String.fromCharCode(...head.subarray(0, MAGIC_BYTES));
  const first = text.slice(0, 4);
  const spelled = /^[\x20-\x7e]*$/.test(first) ? `"${first}"` : hex(head.subarray(0, 4));
  const meaning = meaningOf(text);
  return meaning === undefined ? spelled : `${spelled} (${meaning})`;
}

/** The error for a file of no known format; `hint` is a sentence that may help. */
export function unknownFormat(name: string, head: Uint8Array, hint?: string): FormatError {
  const more = hint === undefined ? "" : `. ${hint}`;
  return new FormatError(
    `Cannot read ${name}: Unknown format, the file begins with ${describeMagic(head)}; known formats: ${knownFormats}${more}`,
  );
}

function meaningOf(text: string): string | undefined {
  // safetensors: the length of the header as u64, then the header in JSON.
  if (text.slice(4, 9) === "\0\0\0\0{") return "safetensors; pass the folder with config.json";
  const start = text.trimStart().toLowerCase();
  if (start.startsWith("{")) return "JSON";
  return signatures.find(([magic]) => text.startsWith(magic) || start.startsWith(magic))?.[1];
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
}
