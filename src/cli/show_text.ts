// What `cria show` prints for people.

import {
  bytesOfTensor,
  type Inspection,
  type MemoryFacts,
  type ModelFacts,
  type Refusal,
  type SpecialToken,
} from "../api/inspect.ts";
import { sizeText } from "../util/bytes.ts";
import type { ShownLists } from "./show_json.ts";
import { escaped, escapedLine } from "./terminal/escape.ts";
import { textWidth } from "./terminal/terminal.ts";

/** What is asked for beside the facts. */
export interface ShownTexts extends ShownLists {
  readonly template?: boolean | undefined;
}

/** Characters of a text of the file that one line has. */
const MAX_CHARS = 100;
/** Values of an array that one line has. */
const MAX_VALUES = 8;

/**
 * The lines of `cria show`.
 * @param rename makes a message of the library one of the command line
 */
export function inspectionText(
  { facts, metadata, tensors }: Inspection,
  shown: ShownTexts,
  rename: (message: string) => string,
): string {
  const sections = [
    section(escapedLine(facts.file, 1000), generalRows(facts)),
    section("types", typeRows(facts)),
    facts.part?.part !== 1 && facts.missing ? null : section("hyper-parameters", hyperRows(facts, metadata)),
    section("tokenizer", tokenizerRows(facts)),
    section("memory", memoryRows(facts, rename)),
    facts.missing &&
      section(
        "missing parts",
        facts.missing.map((name) => [escapedLine(name, 1000)]),
      ),
    facts.files &&
      section(
        "files",
        facts.files.map((name) => [escapedLine(name, 1000)]),
      ),
    shown.template && `chat template\n${escaped(facts.chatTemplate ?? "none")}\n`,
    shown.metadata &&
      section(
        "metadata",
        Array.from(metadata, ([key, meta]) => [line(key), metaText(meta)]),
      ),
    shown.tensors && section("tensors", tensors.map(tensorRow)),
  ];
  return sections.filter((text) => text).join("\n");
}

type Row = readonly string[];
type Metadata = Inspection["metadata"];

/** A title, and below it rows whose columns are aligned. */
function section(title: string, rows: readonly Row[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, textWidth(cell));
    });
  }
  const pad = (cell: string, i: number, row: Row) =>
    i === row.length - 1 ? cell : cell + " ".repeat((widths[i] as number) - textWidth(cell));
  return `${title}\n${rows.map((row) => `  ${row.map(pad).join("  ")}\n`).join("")}`;
}

function generalRows(facts: ModelFacts): Row[] {
  const { bytes, part, name, parameters, bitsPerWeight, chatTemplate, architecture, format } = facts;
  const template =
    chatTemplate === null ? "none" : `${chatTemplate.length} characters (--template prints it)`;
  const size = bytes === null ? "" : `${sizeText(bytes)}, `;
  return [
    ["format", format],
    ["architecture", line(architecture) || "none"],
    ...(name === null ? [] : [["name", line(name)]]),
    ...(part === null ? [] : [["part", `${part.part} of ${part.parts}`]]),
    ["parameters", `${parameters}${parameters >= 1e6 ? ` (${countText(parameters)})` : ""}`],
    ["size", `${size}${bitsPerWeight.toFixed(2)} bits a weight`],
    ["chat template", template],
  ];
}

function countText(n: number): string {
  if (n >= 1e9) return `${(n / 1e9).toFixed(2)} B`;
  return `${(n / 1e6).toFixed(n >= 1e7 ? 0 : 1)} M`;
}

function typeRows({ types }: ModelFacts): Row[] {
  const all = types.reduce((sum, { bytes }) => sum + bytes, 0);
  return types.map(({ type, tensors, bytes }) => [
    type,
    `${tensors} ${tensors === 1 ? "tensor" : "tensors"}`,
    sizeText(bytes),
    `${((100 * bytes) / (all || 1)).toFixed(1)} %`,
  ]);
}

/** cria's names if it knows the architecture, else the file's. */
function hyperRows({ config, architecture }: ModelFacts, metadata: Metadata): Row[] {
  if (config) {
    const { architecture: _, ...numbers } = config;
    return Object.entries(numbers).map(([name, value]) => [
      name,
      typeof value === "string" ? value : number(value),
    ]);
  }
  const own = [...metadata].filter(
    ([key, { type }]) => key.startsWith(`${architecture}.`) && type !== "array",
  );
  return own.slice(0, MAX_KEYS).map(([key, meta]) => [line(key), metaText(meta)]);
}

const MAX_KEYS = 40;

function tokenizerRows({ tokenizer, missing }: ModelFacts): Row[] {
  if (tokenizer === null && missing) return [["none in this part"]];
  if (tokenizer === null) return [["none in the file; generate and others take one by --tokenizer FILE"]];
  if ("message" in tokenizer) return [[`refused: ${escapedLine(tokenizer.message, 1000)}`]];
  const { kind, pretokenizer, vocabSize, bos, eos, unk, addsBos, addsEos, warnings } = tokenizer;
  const added = (adds: boolean | null) => (adds ? " (added to texts)" : "");
  const ends = eos.slice(0, MAX_VALUES).map(tokenText);
  return [
    ["kind", pretokenizer === null ? kind : `${kind}, ${pretokenizer}`],
    ["vocabulary", String(vocabSize)],
    ["bos", tokenText(bos) + added(addsBos)],
    ["eos", (ends.join(", ") || "none") + (eos.length > MAX_VALUES ? ", …" : "") + added(addsEos)],
    ["unknown", tokenText(unk)],
    ...warnings.map((text) => ["warning", escapedLine(text, 1000)]),
  ];
}

function tokenText(token: SpecialToken | null): string {
  return token === null ? "none" : `${token.id} ${line(JSON.stringify(token.piece))}`;
}

function memoryRows({ memory, fullMemory }: ModelFacts, rename: (message: string) => string): Row[] {
  const refused = ({ message }: Refusal) => escapedLine(rename(message), 1000);
  if ("message" in memory) return [["not loaded", refused(memory)]];
  const rows = [memoryRow(memory)];
  if (fullMemory === null) return rows;
  if ("message" in fullMemory) return [...rows, ["full context", refused(fullMemory)]];
  return fullMemory.contextLength > memory.contextLength ? [...rows, memoryRow(fullMemory)] : rows;
}

function memoryRow({ contextLength, weights, kvCache, windows, total }: MemoryFacts): Row {
  const ofWindows = windows.map(
    ({ window, layers, kvCache }) =>
      ` (${sizeText(kvCache)} of it for ${layers} layer${layers === 1 ? "" : "s"} with a window of ${window})`,
  );
  const parts = `weights ${sizeText(weights)}, KV cache ${sizeText(kvCache)}${ofWindows.join("")}`;
  return [
    `context ${contextLength}`,
    sizeText(total),
    `${parts}, the rest ${sizeText(total - weights - kvCache)}`,
  ];
}

function tensorRow(tensor: Inspection["tensors"][number]): Row {
  const { name, shape, type } = tensor;
  return [line(name), `[${shape.join(", ")}]`, type, `${bytesOfTensor(tensor)} bytes`];
}

function metaText(meta: Metadata extends ReadonlyMap<string, infer V> ? V : never): string {
  if (meta.type !== "array") return scalarText(meta.value);
  const { elementType, value } = meta;
  const first = Array.from<unknown, string>({ length: Math.min(value.length, MAX_VALUES) }, (_, i) =>
    scalarText(value[i]),
  );
  const rest = value.length > MAX_VALUES ? ", …" : "";
  return `${value.length} ${elementType}: [${first.join(", ")}${rest}]`;
}

function scalarText(value: unknown): string {
  if (typeof value === "string") return line(JSON.stringify(value.slice(0, 2 * MAX_CHARS)));
  return typeof value === "number" ? number(value) : String(value);
}

/** A number without the digits that only its f32 has: 0.00001 instead of 0.000009999999747378752. */
function number(value: number): string {
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(7)));
}

/** A text of the file, on one line and not endless. */
function line(text: string): string {
  return escapedLine(text, MAX_CHARS);
}
