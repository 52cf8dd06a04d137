// A session as bytes:
//   0   "CRIASNAP"
//   8   u32 version
//   12  u32 bytes of the description
//   16  SHA-256 of everything but these 32 bytes
//   48  the description: JSON in UTF-8
//   ..  ids: u32 each
//   ..  pages of keys and values, see assembly/layout/blocks.ts; unused positions are zero. Version 2: of all layers, one
//       page behind another. Version 3: of each class of layers (see model/kv_layout.ts), from the first page on that the
//       description names
// All numbers are little-endian. The checksum finds damage; who writes a snapshot on purpose can make a right one, so
// nothing that is read is believed: sizes are compared with the bytes there are, and with the model's limits.

import type { Engine } from "../../engine/engine.ts";
import type { Sequence } from "../../model/kv_cache.ts";
import type { SamplerStates } from "../../sample/chain.ts";
import type { Tokenizer } from "../../tokenizer/core/tokenizer.ts";
import { decodeUtf8, newBytes } from "../../util/bytes.ts";
import { describeValue } from "../../util/describe.ts";
import { CriaError, SnapshotError } from "../../util/errors.ts";
import { SHA256_BYTES, Sha256 } from "../../util/sha256.ts";
import { Generation, resolveGeneration } from "../generation.ts";
import { type Settings, settingsOf } from "./fingerprint.ts";
import { canGoOn, exportPages, importPages, pagesBytes, savedPages } from "./kv_pages.ts";

/** What a snapshot holds. */
export interface SessionState {
  readonly sequence: Sequence;
  readonly ids: number[];
  readonly generation: Generation | undefined;
}

/**
 * Versions of the bytes: raised with their order, and when the same bytes would go on with other tokens. Version 1 held
 * the state of a generator of random numbers; since version 2 they follow from seed and position. Version 3 leaves out what
 * layers with windows do not see any more; models without windows are still written as version 2.
 */
const SNAPSHOT_VERSION = 2;
const WINDOWS_VERSION = 3;

const VERSIONS = `${SNAPSHOT_VERSION} or ${WINDOWS_VERSION}`;

const MAGIC = new TextEncoder().encode("CRIASNAP");
const VERSION_AT = 8;
const DESCRIPTION_BYTES_AT = 12;
const CHECKSUM_AT = 16;
const BODY_AT = CHECKSUM_AT + SHA256_BYTES;
/** Longest description. Some hundred bytes are usual; stop strings may make it longer. */
const MAX_DESCRIPTION_BYTES = 1 << 20;

interface Description {
  readonly settings: Settings;
  readonly ids: number;
  /** Positions in the cache. */
  readonly positions: number;
  /** The first page of each class of layers. Since version 3. */
  readonly firstPages?: readonly number[];
  readonly generation?: {
    readonly begin: number;
    readonly afterText: boolean;
    /** Absent: to the end of the context. */
    readonly maxTokens?: number;
    readonly stop: readonly string[];
    readonly ignoreEos: boolean;
    /** Absent: 0. */
    readonly choice?: number;
    /** Options of the samplers. Random numbers follow from the seed and the position: they have no state. */
    readonly sampling: Readonly<Record<string, unknown>>;
    readonly samplers: SamplerStates;
  };
}

function refuse(problem: string, cause?: unknown): SnapshotError {
  return new SnapshotError(`Cannot restore the session: ${problem}`, { cause });
}

function checksum(bytes: Uint8Array): Uint8Array {
  return new Sha256().update(bytes.subarray(0, CHECKSUM_AT)).update(bytes.subarray(BODY_AT)).digest();
}

function describeGeneration({ settings, begin, afterText, sampler }: Generation): Description["generation"] {
  const { maxTokens, stop, ignoreEos, choice, sampling } = settings;
  return {
    begin,
    afterText,
    ...(Number.isFinite(maxTokens) && { maxTokens }),
    stop,
    ignoreEos,
    ...(choice > 0 && { choice }),
    sampling: { ...sampling },
    samplers: sampler.save(),
  };
}

/** The bytes of a session. */
export function encodeSnapshot(
  engine: Engine,
  tokenizer: Tokenizer,
  { sequence, ids, generation }: SessionState,
): Uint8Array<ArrayBuffer> {
  const saved = savedPages(engine, sequence);
  const { positions, firsts } = saved;
  const described: Description = {
    settings: settingsOf(engine, tokenizer),
    ids: ids.length,
    positions,
    ...(firsts && { firstPages: firsts }),
    ...(generation && { generation: describeGeneration(generation) }),
  };
  const description = new TextEncoder().encode(JSON.stringify(described));
  if (description.length > MAX_DESCRIPTION_BYTES) {
    throw new SnapshotError(
      `Cannot save the session: Expected stop strings of some hundred KiB at most, their snapshot has ${description.length} bytes`,
    );
  }
  const pages = exportPages(engine, sequence, saved);
  const idsAt = BODY_AT + description.length;
  const bytes = newBytes(idsAt + 4 * ids.length + pages.length, "a snapshot");
  const view = new DataView(bytes.buffer);
  bytes.set(MAGIC);
  view.setUint32(VERSION_AT, firsts ? WINDOWS_VERSION : SNAPSHOT_VERSION, true);
  view.setUint32(DESCRIPTION_BYTES_AT, description.length, true);
  bytes.set(description, BODY_AT);
  ids.forEach((id, i) => {
    view.setUint32(idsAt + 4 * i, id, true);
  });
  bytes.set(pages, bytes.length - pages.length);
  bytes.set(checksum(bytes), CHECKSUM_AT);
  return bytes;
}

function checkFrame(bytes: Uint8Array): { readonly version: number; readonly idsAt: number } {
  if (!(bytes instanceof Uint8Array)) throw refuse(`Expected a Uint8Array, got ${typeof bytes}`);
  if (MAGIC.some((byte, i) => bytes[i] !== byte)) throw refuse("Expected a snapshot, got other bytes");
  if (bytes.length < BODY_AT) throw refuse(`Expected at least ${BODY_AT} bytes, got ${bytes.length}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = view.getUint32(VERSION_AT, true);
  if (version < SNAPSHOT_VERSION) {
    throw refuse(
      `Expected version ${VERSIONS}, got ${version}, of an older cria that drew other random numbers; begin the session again from its text, or restore it with that cria`,
    );
  }
  if (version > WINDOWS_VERSION) {
    throw refuse(`Expected version ${VERSIONS}, got ${version}, of a newer cria; update cria to restore it`);
  }
  const found = checksum(bytes);
  if (found.some((byte, i) => bytes[CHECKSUM_AT + i] !== byte)) {
    throw refuse("Expected bytes as they were saved, the checksum says that some were lost or changed");
  }
  const length = view.getUint32(DESCRIPTION_BYTES_AT, true);
  const most = Math.min(MAX_DESCRIPTION_BYTES, bytes.length - BODY_AT);
  if (most === 0) throw refuse("Expected a description, the bytes end before it");
  if (length > most) throw refuse(`Expected a description of at most ${most} bytes, got ${length}`);
  return { version, idsAt: BODY_AT + length };
}

type Json = { readonly [key: string]: unknown };

function object(value: unknown, what: string): Json {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Json;
  throw refuse(`Expected ${what} to be an object, got ${value === null ? "null" : typeof value}`);
}

function integer(value: unknown, what: string, min: number, max: number): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) return value;
  throw refuse(`Expected ${what} to be an integer in [${min}, ${max}], got ${describeValue(value)}`);
}

function boolean(value: unknown, what: string): boolean {
  if (typeof value === "boolean") return value;
  throw refuse(`Expected ${what} to be true or false, got ${describeValue(value)}`);
}

function parseDescription(bytes: Uint8Array): Json {
  try {
    return object(JSON.parse(decodeUtf8(bytes)), "the description");
  } catch (cause) {
    throw cause instanceof SnapshotError ? cause : refuse("Expected a description in JSON", cause);
  }
}

// Hashes say little to people.
const namesOfHashes: Readonly<Record<string, string>> = {
  weights: "the same weights, got those of another model",
  tokenizer: "the same tokenizer, got another one's tokens",
};

function checkSettings(saved: Json, ours: Settings): void {
  for (const name of new Set([...Object.keys(ours), ...Object.keys(saved)])) {
    if (saved[name] === ours[name]) continue;
    const values = `${name} ${describeValue(ours[name])}, got ${describeValue(saved[name])}`;
    throw refuse(`Expected ${namesOfHashes[name] ?? values}`);
  }
}

function readIds(bytes: Uint8Array, at: number, n: number, vocabSize: number): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, 4 * n);
  return Array.from({ length: n }, (_, i) =>
    integer(view.getUint32(4 * i, true), `token ${i}`, 0, vocabSize - 1),
  );
}

// Each class must have the pages that the next position sees: kernels read them.
function readFirsts(engine: Engine, { firstPages }: Json, positions: number): number[] {
  const { length } = engine.layout.kv.classes;
  if (!Array.isArray(firstPages) || firstPages.length !== length) {
    throw refuse(`Expected firstPages to be ${length} numbers, got ${describeValue(firstPages)}`);
  }
  return firstPages.map((value, i) => {
    const first = integer(value, `firstPages[${i}]`, 0, positions);
    if (canGoOn(engine, i, first, positions)) return first;
    throw refuse(`Expected firstPages[${i}] to be a page that position ${positions} sees, got ${first}`);
  });
}

function readGeneration(engine: Engine, tokenizer: Tokenizer, value: unknown, ids: number[]): Generation {
  const { begin, afterText, maxTokens, stop, ignoreEos, choice, sampling, samplers } = object(
    value,
    "the generation",
  );
  if (ids.length === 0) throw refuse("Expected tokens that the generation goes on from, got none");
  const fields = { maxTokens, stop, choice, ignoreEos: boolean(ignoreEos, "ignoreEos") };
  const settings = resolveGeneration({ ...object(sampling, "sampling"), ...fields } as object);
  const generation = new Generation(
    engine,
    tokenizer,
    settings,
    integer(begin, "begin", 1, ids.length),
    boolean(afterText, "afterText"),
  );
  generation.sampler.load(object(samplers, "samplers"));
  generation.replay(ids);
  return generation;
}

/**
 * What {@link encodeSnapshot} made bytes of.
 * @throws SnapshotError if they are damaged, of another version, or of a model or settings that would go on with
 *   other bits; MemoryError if there is no room for the pages. Nothing is taken then.
 */
export function decodeSnapshot(engine: Engine, tokenizer: Tokenizer, bytes: Uint8Array): SessionState {
  const { version, idsAt } = checkFrame(bytes);
  const description = parseDescription(bytes.subarray(BODY_AT, idsAt));
  checkSettings(object(description.settings, "settings"), settingsOf(engine, tokenizer));
  const { contextLength } = engine.layout;
  // The last token of a full context is drawn and never fed.
  const n = integer(description.ids, "ids", 0, contextLength + 1);
  const positions = integer(description.positions, "positions", 0, Math.min(n, contextLength));
  const firsts = version < WINDOWS_VERSION ? undefined : readFirsts(engine, description, positions);
  const saved = { positions, firsts };
  const expected = idsAt + 4 * n + pagesBytes(engine, saved);
  if (bytes.length !== expected) throw refuse(`Expected ${expected} bytes, got ${bytes.length}`);
  const ids = readIds(bytes, idsAt, n, engine.layout.config.vocabSize);
  let generation: Generation | undefined;
  try {
    if (description.generation !== undefined) {
      generation = readGeneration(engine, tokenizer, description.generation, ids);
    }
  } catch (error) {
    if (error instanceof SnapshotError || !(error instanceof CriaError)) throw error;
    throw refuse(error.message, error);
  }
  const sequence = importPages(engine, bytes.subarray(idsAt + 4 * n), saved);
  return { sequence, ids, generation };
}
