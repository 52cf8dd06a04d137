// A chat as bytes:
//   0   "CRIACHAT"
//   8   u32 version
//   12  u32 bytes of the conversation
//   16  SHA-256 of the conversation
//   48  the conversation: JSON in UTF-8
//   ..  the session's snapshot, see session/snapshot/snapshot.ts
// All numbers are little-endian. Nothing that is read is believed: the conversation is checked as options are.
import { decodeUtf8, newBytes } from "../util/bytes.ts";
import { CriaError, SnapshotError } from "../util/errors.ts";
import { SHA256_BYTES, Sha256 } from "../util/sha256.ts";
import type { Message } from "./messages.ts";
import { type ChatOptions, checkChatOptions } from "./options.ts";

/** What of a chat is written beside its session. */
export interface SavedChat extends Pick<ChatOptions, "tools" | "variables" | "template"> {
  readonly messages: readonly Message[];
  /** Its date, as ISO 8601 writes it. */
  readonly now: string;
}

const MAGIC = new TextEncoder().encode("CRIACHAT");
const VERSION = 1;
const VERSION_AT = 8;
const LENGTH_AT = 12;
const CHECKSUM_AT = 16;
const BODY_AT = CHECKSUM_AT + SHA256_BYTES;

/** The bytes of a chat. */
export function encodeChat(chat: SavedChat, session: Uint8Array): Uint8Array<ArrayBuffer> {
  const json = new TextEncoder().encode(JSON.stringify(chat));
  const bytes = newBytes(BODY_AT + json.length + session.length, "a saved chat");
  const view = new DataView(bytes.buffer);
  bytes.set(MAGIC);
  view.setUint32(VERSION_AT, VERSION, true);
  view.setUint32(LENGTH_AT, json.length, true);
  bytes.set(new Sha256().update(json).digest(), CHECKSUM_AT);
  bytes.set(json, BODY_AT);
  bytes.set(session, BODY_AT + json.length);
  return bytes;
}

/**
 * The parts of a chat's bytes.
 * @throws SnapshotError if they are damaged, of another version, or none of a chat
 */
export function decodeChat(bytes: Uint8Array): {
  readonly options: ChatOptions;
  readonly session: Uint8Array;
} {
  if (!(bytes instanceof Uint8Array)) throw refuse(`Expected a Uint8Array, got ${typeof bytes}`);
  if (bytes.length < BODY_AT || MAGIC.some((byte, i) => bytes[i] !== byte)) {
    throw refuse("Expected the bytes of a chat, got others");
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const version = view.getUint32(VERSION_AT, true);
  if (version !== VERSION) throw refuse(`Expected version ${VERSION}, got ${version}`);
  const end = BODY_AT + view.getUint32(LENGTH_AT, true);
  if (end > bytes.length) throw refuse(`Expected at least ${end} bytes, got ${bytes.length}`);
  const json = bytes.subarray(BODY_AT, end);
  const found = new Sha256().update(json).digest();
  if (found.some((byte, i) => bytes[CHECKSUM_AT + i] !== byte)) {
    throw refuse("Expected bytes as they were saved, the checksum says that some were lost or changed");
  }
  return { options: optionsOf(json), session: bytes.subarray(end) };
}

function optionsOf(json: Uint8Array): ChatOptions {
  try {
    const { now, ...rest } = JSON.parse(decodeUtf8(json)) as SavedChat;
    const options = { ...rest, now: new Date(now) };
    checkChatOptions(options);
    return options;
  } catch (cause) {
    throw refuse(cause instanceof CriaError ? cause.message : "Expected a conversation in JSON", cause);
  }
}

function refuse(problem: string, cause?: unknown): SnapshotError {
  return new SnapshotError(`Cannot restore the chat: ${problem}`, { cause });
}
