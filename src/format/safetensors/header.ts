// The header of a safetensors file: which tensors it has, and where each of them lies.
import type { ByteSource } from "../../source/byte_source.ts";
import { decodeUtf8, quoted } from "../../util/bytes.ts";
import { FormatError } from "../../util/errors.ts";
import { HeaderReader } from "../header_reader.ts";
import type { TensorInfo } from "../model_file.ts";
import { checkJson } from "../strict_json.ts";

/** Longest header: the format's own limit. */
const MAX_HEADER_BYTES = 100_000_000;
/** Deepest nesting: the header, a tensor, its shape. */
const MAX_DEPTH = 3;
/** Most dimensions of a tensor that are believed. */
const MAX_DIMS = 16;

/** Bits of a value by its type, as the format names it. */
const typeBits: Readonly<Record<string, number>> = {
  ...{ F4: 4, F6_E2M3: 6, F6_E3M2: 6 },
  ...{ BOOL: 8, U8: 8, I8: 8, F8_E5M2: 8, F8_E4M3: 8, F8_E8M0: 8 },
  ...{ I16: 16, U16: 16, F16: 16, BF16: 16, I32: 32, U32: 32, F32: 32 },
  ...{ I64: 64, U64: 64, F64: 64, C64: 64 },
};

/** What a header says. */
export interface Safetensors {
  /** By name, in the order of their offsets. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** Where the file ends. If the source knows its size, it was compared. */
  readonly end: number;
}

/**
 * Reads the header of a safetensors file. Tensors must cover the file exactly, without holes and overlaps; their bytes must
 * be what shape and type say. What is allocated grows with the bytes that came.
 *
 * Source: https://github.com/huggingface/safetensors README (format); safetensors/src/tensor.rs (limits).
 * @throws FormatError when the bytes contradict the format; SourceError when they cannot be had
 */
export async function readSafetensors(source: ByteSource): Promise<Safetensors> {
  const { name, size } = source;
  const header = new HeaderReader(source, MAX_HEADER_BYTES + 8);
  const length = (await header.need(8)).length(MAX_HEADER_BYTES, "bytes of a header");
  const bytes = (await header.need(length)).bytes(length);
  const begin = 8 + length;
  const tensors: TensorInfo[] = [];
  for (const [tensor, value] of Object.entries(parse(bytes, name))) {
    if (tensor !== "__metadata__") tensors.push({ ...readTensor(tensor, value, begin, name), source });
  }
  tensors.sort((a, b) => a.offset - b.offset || a.byteLength - b.byteLength);
  let end = begin;
  for (const info of tensors) {
    if (info.offset !== end) {
      throw new FormatError(
        `Cannot read ${name}: Tensor ${quoted(info.name)}: Expected data_offsets from ${end - begin}, the end of the ` +
          `tensor before it, got ${info.offset - begin}`,
      );
    }
    end += info.byteLength;
  }
  if (size !== undefined && size !== end) {
    throw new FormatError(`Cannot read ${name}: Expected ${end} bytes, as its header says, got ${size}`);
  }
  return { tensors: new Map(tensors.map((info) => [info.name, info])), end };
}

function parse(bytes: Uint8Array, name: string): object {
  const text = decodeUtf8(bytes);
  checkJson(text, name, MAX_DEPTH);
  let value: unknown;
  try {
    // Invalid UTF-8 has become U+FFFD, which may stand in names.
    value = JSON.parse(text);
  } catch (cause) {
    throw new FormatError(`Cannot read ${name}: Expected a header in JSON, got ${(cause as Error).message}`, {
      cause,
    });
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  throw new FormatError(`Cannot read ${name}: Expected a header that is a JSON object, got another value`);
}

function readTensor(tensor: string, value: unknown, begin: number, name: string): Omit<TensorInfo, "source"> {
  const fail = (expected: string, got: unknown): never => {
    const shown = typeof got === "string" ? quoted(got) : (JSON.stringify(got) ?? "nothing").slice(0, 80);
    throw new FormatError(
      `Cannot read ${name}: Tensor ${quoted(tensor)}: Expected ${expected}, got ${shown}`,
    );
  };
  const { dtype, shape, data_offsets: offsets } = Object(value) as Readonly<Record<string, unknown>>;
  if (typeof dtype !== "string" || !Object.hasOwn(typeBits, dtype)) {
    return fail(`a dtype of ${Object.keys(typeBits).join(", ")}`, dtype);
  }
  if (!isNumbers(shape) || shape.length > MAX_DIMS) {
    return fail(`a shape of at most ${MAX_DIMS} integers`, shape);
  }
  if (!isNumbers(offsets) || offsets.length !== 2) return fail("data_offsets [begin, end]", offsets);
  const [first, last] = offsets as readonly [number, number];
  // A dimension of zero must not hide that the others are absurd.
  const most = shape.reduce((product, dim) => product * Math.max(dim, 1), typeBits[dtype] as number);
  if (most > Number.MAX_SAFE_INTEGER) return fail(`at most ${Number.MAX_SAFE_INTEGER} bits`, shape);
  const byteLength = shape.includes(0) ? 0 : most / 8;
  if (last - first !== byteLength) {
    return fail(`data_offsets ${byteLength} bytes apart for ${dtype} [${shape.join(", ")}]`, offsets);
  }
  return { name: tensor, shape, type: dtype, offset: begin + first, byteLength };
}

function isNumbers(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}
