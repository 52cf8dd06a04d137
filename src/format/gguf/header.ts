// The header of a GGUF file: what it says of the model, and where each tensor lies.
import type { ByteSource } from "../../source/byte_source.ts";
import { alignUp, quoted } from "../../util/bytes.ts";
import { FormatError, UnsupportedError } from "../../util/errors.ts";
import { HeaderReader } from "../header_reader.ts";
import { describeMagic, MAGIC_BYTES } from "../magic.ts";
import type { MetaValue, ModelFile, TensorInfo } from "../model_file.ts";
import { readMetadata } from "./metadata.ts";
import { ggufTokenizer } from "./stored_tokenizer.ts";
import { readTensorLayouts, type TensorLayout } from "./tensor_layout.ts";

/** "GGUF" as a little-endian u32. */
export const GGUF_MAGIC = 0x46554747;

/** Longest header that is believed. The largest vocabularies (262,144 tokens with merges) need about 16 MiB. */
const MAX_HEADER_BYTES = 128 << 20;
/** Most metadata keys. Files have 20 to 50; a model split by expert a few hundred. */
const MAX_KEYS = 100_000;
/** Most tensors. The largest published models have a few thousand, with unstacked experts 50,000. */
const MAX_TENSORS = 100_000;
/** Alignment of tensor data if the file does not say. */
const DEFAULT_ALIGNMENT = 32;
/** Largest alignment: ggml's limit; files use 32, sometimes a page. */
const MAX_ALIGNMENT = 1 << 20;

/** Versions that can be read. 1 had 32-bit lengths and was replaced within days. */
const versions = [2, 3];

/**
 * Reads the header of a GGUF file: metadata, and where each tensor lies. Tensor data is not read. Every count, length,
 * offset and type is checked. Tensors must follow one another without gap or overlap and lie inside the file. (If the
 * source does not know its size, a cut file shows only when its tensors are read.)
 *
 * Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md; limits: ggml's src/gguf.cpp.
 * @throws FormatError when the bytes contradict the format or go past a limit
 * @throws UnsupportedError for other versions, big-endian files, nested arrays and tensor types given up
 * @throws SourceError when the bytes cannot be had
 */
export async function readGguf(source: ByteSource): Promise<ModelFile> {
  const header = new HeaderReader(source, MAX_HEADER_BYTES);
  const { name } = source;
  await checkMagic(header, name);
  checkVersion((await header.need(4)).u32(), name);
  const counts = await header.need(16);
  const nTensors = counts.length(MAX_TENSORS, "tensors");
  const nKeys = counts.length(MAX_KEYS, "metadata keys");
  const metadata = await readMetadata(header, nKeys, name);
  const layouts = await readTensorLayouts(header, nTensors, name);
  return {
    format: "gguf",
    source,
    metadata,
    tensors: placeTensors(layouts, source, header.offset, alignment(metadata, name)),
    architecture: architecture(metadata, name),
    tokenizer: () => ggufTokenizer(metadata, name),
  };
}

async function checkMagic(header: HeaderReader, name: string): Promise<void> {
  const magic = await header.need(4);
  const head = magic.peek(MAGIC_BYTES);
  if (magic.u32() === GGUF_MAGIC) return;
  throw new FormatError(
    `Cannot read ${name}: Expected a GGUF file, which begins with "GGUF", got ${describeMagic(head)}`,
  );
}

function checkVersion(version: number, name: string): void {
  if (versions.includes(version)) return;
  const swapped = version >>> 24;
  if (version === swapped << 24 && swapped !== 0) {
    throw new UnsupportedError(
      `Cannot read ${name}: Expected a little-endian GGUF file, got a big-endian one (version ${swapped})`,
    );
  }
  throw new UnsupportedError(
    `Cannot read ${name}: Expected GGUF version ${versions.join(" or ")}, got version ${version}`,
  );
}

/** Gives tensors their absolute offsets. Their data begins at the next multiple of `alignment` behind the header. */
function placeTensors(
  layouts: readonly TensorLayout[],
  source: ByteSource,
  headerEnd: number,
  alignment: number,
): Map<string, TensorInfo> {
  const tensors = new Map<string, TensorInfo>();
  if (layouts.length === 0) return tensors;
  const begin = alignUp(headerEnd, alignment);
  let end = 0;
  for (const { name, shape, type, byteLength, relative } of layouts) {
    const expected = alignUp(end, alignment);
    if (relative !== expected) {
      throw new FormatError(
        `Cannot read ${source.name}: Tensor ${quoted(name)}: Expected offset ${expected}, ` +
          `the end of the tensor before it aligned to ${alignment}, got ${relative}`,
      );
    }
    const offset = begin + expected;
    end = expected + byteLength;
    checkInside(source, name, offset, byteLength);
    tensors.set(name, { name, shape, type, source, offset, byteLength });
  }
  checkPadding(source, begin + end, begin + alignUp(end, alignment));
  return tensors;
}

function checkInside(source: ByteSource, tensor: string, offset: number, byteLength: number): void {
  const size = source.size ?? Number.MAX_SAFE_INTEGER;
  if (offset + byteLength <= size) return;
  throw new FormatError(
    `Cannot read ${source.name}: Tensor ${quoted(tensor)}: Expected ${byteLength} bytes at offset ${offset}, ` +
      `the file ends at ${size}`,
  );
}

/** Some writers leave the padding of the last tensor away; a part of it means that the file was cut. */
function checkPadding({ name, size }: ByteSource, end: number, paddedEnd: number): void {
  if (size === undefined || size <= end || size >= paddedEnd) return;
  throw new FormatError(
    `Cannot read ${name}: Expected ${paddedEnd} bytes with the padding of the last tensor, the file ends at ${size}`,
  );
}

function alignment(metadata: ReadonlyMap<string, MetaValue>, name: string): number {
  const found = metadata.get("general.alignment");
  if (found === undefined) return DEFAULT_ALIGNMENT;
  const n = found.type === "u32" ? Number(found.value) : 0;
  if (n > 0 && n <= MAX_ALIGNMENT && (n & (n - 1)) === 0) return n;
  const got = found.type === "u32" ? n : `a value of type ${found.type}`;
  throw new FormatError(
    `Cannot read ${name}: Metadata key "general.alignment": Expected a u32 that is a power of two up to ` +
      `${MAX_ALIGNMENT}, got ${got}`,
  );
}

/** The architecture; "" if the file does not say, which no model accepts. */
function architecture(metadata: ReadonlyMap<string, MetaValue>, name: string): string {
  const found = metadata.get("general.architecture");
  if (found === undefined) return "";
  if (found.type === "string") return String(found.value);
  throw new FormatError(
    `Cannot read ${name}: Metadata key "general.architecture": Expected a string, got a value of type ${found.type}`,
  );
}
