// What every answer carries beside its content: an id, a time, the version.
import { VERSION } from "../../util/version.ts";

/** Names the program that computed an answer. The same seed gives the same text for as long as it stays the same. */
export const FINGERPRINT = `cria-${VERSION}`;

const ID_BYTES = 12;

/** An id that no other answer has: "chatcmpl-" and hexadecimal digits. */
export function newId(prefix: string): string {
  const bytes = crypto.getRandomValues(new Uint8Array(ID_BYTES));
  return prefix + Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Seconds since 1970. */
export function now(): number {
  return Math.floor(Date.now() / 1000);
}
