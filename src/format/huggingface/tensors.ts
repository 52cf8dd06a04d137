// Makes the tensors of a GGUF file of those that Hugging Face stores: names, order of rows, what is joined, cut or transposed.
import type { ByteSource } from "../../source/byte_source.ts";
import { quoted } from "../../util/bytes.ts";
import { FormatError, UnsupportedError } from "../../util/errors.ts";
import type { TensorInfo } from "../model_file.ts";
import type { HuggingFaceConfig } from "./config.ts";
import {
  type Content,
  contentSource,
  joined,
  partOf,
  remade,
  reordered,
  storedContent,
  transposed,
} from "./content.ts";
import type { TensorRule } from "./families/family.ts";
import { inBlocks, plusOne } from "./values_made.ts";

/** A tensor of GGUF. Its source and offset are those of the first that it is made of. */
interface Made extends Omit<TensorInfo, "byteLength"> {
  readonly content: Content;
  /** Whether its bytes are those that are stored. */
  readonly plain?: boolean;
}

/**
 * The tensors of a model under the names that GGUF has. What has no name there keeps its own, and is refused when it is loaded.
 * @throws FormatError for tensors that contradict config.json, and for two that become one; UnsupportedError for types whose
 *   values cannot be changed
 */
export function ggufTensors(
  stored: ReadonlyMap<string, TensorInfo>,
  config: HuggingFaceConfig,
): Map<string, TensorInfo> {
  const made = new Map<string, Made>();
  const lists = new Map<string, Map<number, Made>>();
  for (const [own, info] of stored) {
    const isScale = own.endsWith("_scales") && stored.has(own.replace(/_scales$/, "_blocks"));
    if (isScale || config.family.ignored?.test(own)) continue;
    const place = placeOf(own, config);
    if (!place) {
      put(made, own, whole(info));
    } else if (place.index === undefined) {
      const { rule, name } = place;
      const to = typeof rule === "string" ? [rule] : rule.to;
      if (config.tied && to[0] === "output") continue;
      const making = { own, info, stored, config, n: to.length };
      const all = typeof rule === "string" ? [whole(info)] : makers[rule.by](making);
      all.forEach((one, i) => {
        put(made, name(to[i] as string), one, own);
      });
    } else {
      const name = place.name(place.rule as string);
      const list = lists.get(name) ?? new Map<number, Made>();
      lists.set(name, list.set(place.index, whole(info)));
    }
  }
  for (const [name, list] of lists) put(made, name, joinedList(name, list));
  for (const [name, one] of made) made.set(name, changed(name, one, config));
  return laidOut(made);
}

function put(made: Map<string, Made>, name: string, one: Made, own = name): void {
  const other = made.get(name);
  if (other) throw fail(own, one, `each tensor once, got ${quoted(other.name)} and ${quoted(one.name)}`);
  made.set(name, one);
}

/** What a stored tensor is for. */
interface Place {
  readonly rule: TensorRule;
  /** The name of a stem of the rule. */
  readonly name: (stem: string) => string;
  /** Its number among those that become one. */
  readonly index?: number | undefined;
}

function placeOf(own: string, { family, layers: n }: HuggingFaceConfig): Place | undefined {
  const { root, outer, layers, inLayer, nested } = family;
  const text =
    nested === undefined ? own : own.replace(/^language_model\.|(?<=^model\.)language_model\./, "");
  const name = text.startsWith(root) ? text.slice(root.length) : text;
  const [, number, rest] = /^(0|[1-9]\d{0,5})\.(.*)$/s.exec(
    name.startsWith(layers) ? name.slice(layers.length) : "",
  ) ?? [undefined, undefined, name];
  if (number !== undefined && Number(number) >= n) return undefined;
  const table = number === undefined ? outer : inLayer;
  const prefix = number === undefined ? "" : `blk.${number}.`;
  const [stem, suffix] = cut(rest as string);
  for (const [key, end] of [[rest as string, ""] as const, [stem, suffix] as const]) {
    const [, before, index, after] = /^(.*?)\.(0|[1-9]\d{0,5})((?:\..*)?)$/s.exec(key) ?? [];
    const starred = index === undefined ? key : `${before}.*${after}`;
    if (!Object.hasOwn(table, starred)) continue;
    const rule = table[starred] as TensorRule;
    return {
      rule,
      name: (to) => `${prefix}${to}${end}`,
      index: index === undefined ? undefined : Number(index),
    };
  }
  return undefined;
}

/** A stem, and the suffix behind it. */
function cut(name: string): readonly [string, string] {
  const [, stem = "", suffix = ""] = /^(.*)(\.weight|\.bias)$/s.exec(name) ?? [];
  return [stem, suffix];
}

function whole(info: TensorInfo): Made {
  return { ...info, content: storedContent(info.source, info.offset, info.byteLength), plain: true };
}

// A made tensor whose bytes are not those that are stored.
function made(info: TensorInfo | Made, shape: readonly number[], content: Content): Made {
  return { ...info, shape, content, plain: false };
}

function fail(own: string, { source }: Pick<TensorInfo, "source">, expected: string): FormatError {
  return new FormatError(`Cannot load tensor ${quoted(own)} of ${source.name}: Expected ${expected}`);
}

function joinedList(name: string, list: ReadonlyMap<number, Made>): Made {
  const all = Array.from({ length: list.size }, (_, i) => list.get(i));
  const [first] = list.values() as Iterable<Made> & Iterator<Made>;
  const missing = all.indexOf(undefined);
  if (missing >= 0) {
    throw fail(
      (first as Made).name,
      first as Made,
      `${name} in parts 0 to ${list.size - 1}, got no ${missing}`,
    );
  }
  const parts = all as Made[];
  const [{ shape, type }] = parts as [Made];
  for (const part of parts) {
    if (part.type === type && `${part.shape}` === `${shape}`) continue;
    throw fail(part.name, part, `${type} [${shape}], as the first has, got ${part.type} [${part.shape}]`);
  }
  const content = joined(parts.map((part) => part.content));
  return made(first as Made, [parts.length, ...shape], content);
}

/** A stored tensor that becomes several, and what is known beside it. */
interface Making {
  readonly own: string;
  readonly info: TensorInfo;
  readonly stored: ReadonlyMap<string, TensorInfo>;
  readonly config: HuggingFaceConfig;
  /** How many it becomes. */
  readonly n: number;
}

const makers: Readonly<Record<Exclude<TensorRule, string>["by"], (making: Making) => readonly Made[]>> = {
  groups: groupedRows,
  halves: halfRows,
  latent: latentRows,
  row: ({ own, info }) => {
    const [rows, n] = info.shape;
    if (rows !== 1 || n === undefined) throw fail(own, info, `one row, got shape [${info.shape}]`);
    return [{ ...whole(info), shape: [n] }];
  },
  turns: (making) => byTurns(making, false),
  columns: (making) => byTurns(making, true),
  mxfp4: packedBlocks,
};

function groupedRows({ own, info, config, n }: Making): readonly Made[] {
  const { nHeads, nKvHeads, headDim } = config;
  const group = nHeads / nKvHeads + 2;
  const [rows = 0, ...rest] = info.shape;
  if (!Number.isInteger(group) || rows !== nKvHeads * group * headDim) {
    throw fail(
      own,
      info,
      `rows of ${nHeads} heads of queries, and ${nKvHeads} of keys and of values, of ${headDim} each, got shape [${info.shape}]`,
    );
  }
  const stored = whole(info).content;
  const bytes = info.byteLength / nKvHeads / group;
  const rowsOf = (first: number, heads: number) => {
    const parts = Array.from({ length: nKvHeads }, (_, i) =>
      partOf(stored, (i * group + first) * bytes, heads * bytes),
    );
    return made(info, [nKvHeads * heads * headDim, ...rest], joined(parts));
  };
  const all = [rowsOf(0, group - 2), rowsOf(group - 2, 1), rowsOf(group - 1, 1)];
  if (n === 1) return [made(info, info.shape, joined(all.map(({ content }) => content)))];
  return all;
}

function halfRows({ own, info }: Making): readonly Made[] {
  const { shape, byteLength } = info;
  const rows = shape.at(-2) ?? 0;
  if (shape.length < 2 || rows % 2 || rows === 0)
    throw fail(own, info, `an even number of rows, got shape [${shape}]`);
  const blocks = shape.slice(0, -2).reduce((product, n) => product * n, 1);
  const stored = whole(info).content;
  const bytes = byteLength / blocks / 2;
  return [0, 1].map((half) => {
    const parts = Array.from({ length: blocks }, (_, i) => partOf(stored, (2 * i + half) * bytes, bytes));
    return made(info, [...shape.slice(0, -2), rows / 2, shape.at(-1) as number], joined(parts));
  });
}

function latentRows({ own, info, config }: Making): readonly Made[] {
  const { nHeads, plainDim, valueDim } = config;
  const [rows, rank = 0] = info.shape;
  if (info.shape.length !== 2 || rows !== nHeads * (plainDim + valueDim)) {
    throw fail(
      own,
      info,
      `rows of ${nHeads} heads of ${plainDim} and ${valueDim}, got shape [${info.shape}]`,
    );
  }
  const stored = whole(info).content;
  const rowBytes = info.byteLength / rows;
  const rowsOf = (first: number, n: number) =>
    joined(
      Array.from({ length: nHeads }, (_, i) =>
        partOf(stored, (i * (plainDim + valueDim) + first) * rowBytes, n * rowBytes),
      ),
    );
  const keys = rowsOf(0, plainDim);
  checkWidth(own, info);
  const turned = remade(keys, {
    ...{ name: own, count: nHeads, byteLength: keys.byteLength },
    make: (bytes) => transposed(bytes, plainDim, rank),
  });
  return [
    made(info, [nHeads, rank, plainDim], turned),
    made(info, [nHeads, valueDim, rank], rowsOf(plainDim, valueDim)),
  ];
}

// Rows, or columns that become rows, of each expert; to two tensors by turns if it is cut.
function byTurns({ own, info, n }: Making, turned: boolean): readonly Made[] {
  const [experts = 0, a = 0, b = 1] = info.shape;
  const rows = turned ? b : a;
  if (info.shape.length !== (turned ? 3 : 2) || rows % n || info.byteLength === 0) {
    throw fail(
      own,
      info,
      `${n === 2 ? "an even number of rows" : "a matrix"} of each expert, got shape [${info.shape}]`,
    );
  }
  checkWidth(own, info);
  return Array.from({ length: n }, (_, turn) => {
    const content = remade(whole(info).content, {
      ...{ name: own, count: experts, byteLength: info.byteLength / n },
      make: (bytes) => everyRow(turned ? transposed(bytes, a, b) : bytes, rows, n, turn),
    });
    return made(info, turned ? [experts, b / n, a] : [experts, a / n], content);
  });
}

function everyRow(bytes: Uint8Array, rows: number, n: number, turn: number): Uint8Array {
  if (n === 1) return bytes;
  const half = rows / n;
  return reordered(bytes, rows, (i) => (i < half ? n * i + turn : i)).subarray(0, bytes.length / n);
}

function packedBlocks({ own, info, stored, n }: Making): readonly Made[] {
  const scales = stored.get(own.replace(/_blocks$/, "_scales"));
  const [experts = 0, rows = 0, blocks = 0, bytes] = info.shape;
  if (info.type !== "U8" || bytes !== 16 || rows % n || info.byteLength === 0) {
    throw fail(own, info, `U8 [experts, rows, blocks, 16], got ${info.type} [${info.shape}]`);
  }
  if (scales?.type !== "U8" || `${scales.shape}` !== `${[experts, rows, blocks]}`) {
    const got = scales ? `${scales.type} [${scales.shape}]` : "none";
    throw fail(own, info, `scales beside it, U8 [${[experts, rows, blocks]}], got ${got}`);
  }
  // The scales of an expert stand behind its blocks, so that both are read as one frame.
  const [of, perExpert] = [whole(scales).content, scales.byteLength / experts];
  const both = joined(
    Array.from({ length: experts }, (_, i) => [
      partOf(whole(info).content, i * 16 * perExpert, 16 * perExpert),
      partOf(of, i * perExpert, perExpert),
    ]).flat(),
  );
  return Array.from({ length: n }, (_, turn) => {
    const content = remade(both, {
      ...{ name: own, count: experts, byteLength: both.byteLength / n },
      make: (frame) => everyRow(inBlocks(frame), rows, n, turn),
    });
    return { ...made(info, [experts, rows / n, 32 * blocks], content), type: "MXFP4" };
  });
}

function checkWidth(own: string, { type, source }: TensorInfo): void {
  if (["F32", "F16", "BF16"].includes(type)) return;
  throw new UnsupportedError(
    `Cannot load tensor ${quoted(own)} of ${source.name}: Unsupported type ${type} of a tensor that is stored in another order; supported: F32, F16, BF16`,
  );
}

// What is done to tensors of GGUF, whatever they are made of.
function changed(name: string, one: Made, config: HuggingFaceConfig): Made {
  const { paired, transposed: turned, minusOne } = config.family;
  const [stem, suffix] = cut(name.replace(/^blk\.\d+\./, ""));
  if (paired?.includes(stem)) return pairedRows(one, config);
  if (turned?.includes(stem) && suffix === ".weight") return turnedMatrix(one);
  if (minusOne && suffix === ".weight" && stem.endsWith("_norm")) return oneMore(one);
  return one;
}

// Row 2 i + j of a head is row i + j headDim / 2 of the file. So GGUF stores Llama's q and k.
function pairedRows(one: Made, { headDim }: HuggingFaceConfig): Made {
  const [rows = 0] = one.shape;
  if (headDim % 2 || rows % headDim || rows === 0) {
    throw fail(
      one.name,
      one,
      `rows of whole heads of an even length (${headDim}), got shape [${one.shape.join(", ")}]`,
    );
  }
  const { content } = one;
  const from = (row: number) => (row >> 1) + ((row & 1) * headDim) / 2;
  const remadeContent = remade(content, {
    ...{ name: one.name, count: rows / headDim, byteLength: content.byteLength },
    make: (bytes) => reordered(bytes, headDim, from),
  });
  return made(one, one.shape, remadeContent);
}

function turnedMatrix(one: Made): Made {
  const [rows = 0, cols = 0] = one.shape;
  const { content } = one;
  if (one.shape.length !== 2 || content.byteLength === 0)
    throw fail(one.name, one, `a matrix, got shape [${one.shape}]`);
  checkWidth(one.name, { ...one, byteLength: content.byteLength });
  const turned = remade(content, {
    ...{ name: one.name, count: 1, byteLength: content.byteLength },
    make: (bytes) => transposed(bytes, rows, cols),
  });
  return made(one, [cols, rows], turned);
}

function oneMore(one: Made): Made {
  const { content, type } = one;
  const n = one.shape.reduce((product, dim) => product * dim, 1);
  if (n === 0) return one;
  checkWidth(one.name, { ...one, byteLength: content.byteLength });
  const more = remade(content, {
    ...{ name: one.name, count: 1, byteLength: 4 * n },
    make: (bytes) => plusOne(bytes, type),
  });
  return { ...made(one, one.shape, more), type: "F32" };
}

// Tensors of files that hold one that is made are read from a source in which all lie in a row.
function laidOut(made: ReadonlyMap<string, Made>): Map<string, TensorInfo> {
  const bySource = new Map<ByteSource, Map<string, Made>>();
  for (const [name, one] of made) {
    const own = bySource.get(one.source) ?? new Map<string, Made>();
    bySource.set(one.source, own.set(name, one));
  }
  const sources = new Map<ByteSource, ReturnType<typeof contentSource>>();
  for (const [source, own] of bySource) {
    if ([...own.values()].every(({ plain }) => plain)) continue;
    const contents = [...own].map(([name, { content, offset }]) => ({ name, content, offset }));
    sources.set(source, contentSource(source, contents));
  }
  return new Map(
    [...made].map(([name, { content, plain, ...info }]) => {
      const laid = sources.get(info.source);
      const { source, offset } = laid
        ? { source: laid.source, offset: laid.offsets.get(name) as number }
        : info;
      return [name, { ...info, name, source, offset, byteLength: content.byteLength }];
    }),
  );
}
