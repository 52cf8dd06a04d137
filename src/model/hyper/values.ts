// Reads single hyper-parameters from a file's metadata: an integer, a number, a text, each held to its interval.
import type { ModelFile } from "../../format/model_file.ts";
import { FormatError, UnsupportedError } from "../../util/errors.ts";
import { MAX_CONTEXT, MAX_VOCAB } from "../config.ts";
import { describeMeta } from "../config_keys.ts";

/** The interval of a number, ends included, and what it is if the file does not say. */
export interface Range {
  readonly min: number;
  readonly max: number;
  readonly fallback?: number;
}

/** The number at a key; undefined if there is none, or no single number. */
export function scalar(file: ModelFile, key: string): number | undefined {
  const meta = file.metadata.get(key);
  if (meta?.type !== "array" && typeof meta?.value === "number") return meta.value;
  return undefined;
}

/** An integer. @throws FormatError */
export function integer(file: ModelFile, key: string, { min, max, fallback }: Range): number {
  if (fallback !== undefined && !file.metadata.has(key)) return fallback;
  const value = scalar(file, key);
  if (value === undefined || !Number.isInteger(value) || value < min || value > max) {
    throw new FormatError(
      `Cannot load ${file.source.name}: Expected ${key} to be an integer in [${min}, ${max}], got ${describeMeta(file.metadata.get(key))}`,
    );
  }
  return value;
}

/**
 * An integer that files state once or for each layer.
 * @param absent whether some layers, but not all, may state 0: they have none of it
 * @throws FormatError; UnsupportedError if layers differ
 */
export function layerInteger(
  file: ModelFile,
  key: string,
  range: Range,
  nLayers: number,
  absent = false,
): number {
  const meta = file.metadata.get(key);
  if (meta?.type !== "array") return integer(file, key, range);
  const all = Array.from<unknown>(meta.value);
  const values = absent ? all.filter((value) => value !== 0) : all;
  const { min, max } = range;
  const fits = (value: unknown) => Number.isInteger(value) && Number(value) >= min && Number(value) <= max;
  if (all.length !== nLayers || values.length === 0 || !values.every(fits)) {
    const wrong = all.length !== nLayers ? all.length : (values.find((value) => !fits(value)) ?? 0);
    throw new FormatError(
      `Cannot load ${file.source.name}: Expected ${key} to be an integer in [${min}, ${max}], or ${nLayers} of them, one for each layer, got ${wrong} in an array of ${meta.elementType}`,
    );
  }
  const other = values.find((value) => value !== values[0]);
  if (other !== undefined) {
    throw new UnsupportedError(
      `Cannot load ${file.source.name}: Unsupported ${key} that differs between layers, got ${values[0]} and ${other}; supported: the same for all layers`,
    );
  }
  return values[0] as number;
}

/** A number. @throws FormatError */
export function real(file: ModelFile, key: string, { min, max, fallback }: Range): number {
  if (fallback !== undefined && !file.metadata.has(key)) return fallback;
  const value = scalar(file, key);
  if (value === undefined || !(value >= min && value <= max)) {
    const expected =
      max < Number.MAX_VALUE ? `number in [${min}, ${max}]` : `finite number of at least ${min}`;
    throw new FormatError(
      `Cannot load ${file.source.name}: Expected ${key} to be a ${expected}, got ${describeMeta(file.metadata.get(key))}`,
    );
  }
  return value;
}

/** A number of at least 1: with less, a position would turn by more than one radian (see MAX_CONTEXT). */
export function atLeastOne(file: ModelFile, key: string, fallback: number): number {
  return real(file, key, { min: 1, max: Number.MAX_VALUE, fallback });
}

/** True or false. @throws FormatError */
export function flag(file: ModelFile, key: string, fallback: boolean): boolean {
  const meta = file.metadata.get(key);
  if (!meta) return fallback;
  if (meta.type !== "array" && typeof meta.value === "boolean") return meta.value;
  throw new FormatError(
    `Cannot load ${file.source.name}: Expected ${key} to be true or false, got ${describeMeta(meta)}`,
  );
}

/** A text. @throws FormatError */
export function text(file: ModelFile, key: string, fallback: string): string {
  const meta = file.metadata.get(key);
  if (!meta) return fallback;
  if (meta.type !== "string") {
    throw new FormatError(
      `Cannot load ${file.source.name}: Expected ${key} to be a string, got ${describeMeta(meta)}`,
    );
  }
  return String(meta.value);
}

/** A context length. A longer one than can be computed is capped: nobody has to use all of it. */
export function contextLength(file: ModelFile, key: string): number {
  return Math.min(MAX_CONTEXT, integer(file, key, { min: 1, max: Number.MAX_SAFE_INTEGER }));
}

/** Rows of the token embedding: the vocabulary that the model really has. @throws FormatError */
export function vocabulary(file: ModelFile, embedding: string): number {
  const info = file.tensors.get(embedding);
  if (!info) throw new FormatError(`Cannot load ${file.source.name}: Expected tensor ${embedding}, got none`);
  const rows = info.shape.length === 2 ? (info.shape[0] as number) : 0;
  if (rows < 1 || rows > MAX_VOCAB) {
    throw new FormatError(
      `Cannot load tensor ${embedding} of ${file.source.name}: Expected shape [1..${MAX_VOCAB}, dim], got [${info.shape.join(", ")}]`,
    );
  }
  return rows;
}
