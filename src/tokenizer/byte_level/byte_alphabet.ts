// The alphabet in which byte-level vocabularies spell bytes: one printable character for each byte.

/**
 * GPT-2's way to write bytes as text: printable bytes of Latin-1 stand for themselves, the others, in order,
 * are U+0100 and following; so " the" is spelled "Ġthe".
 *
 * Source: openai/gpt-2, encoder.py (bytes_to_unicode).
 */
const characters: readonly number[] = alphabet();

const bytesByCharacter: Int16Array = invert();

function isPlain(byte: number): boolean {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte !== 0xad);
}

function alphabet(): number[] {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => (isPlain(byte) ? byte : next++));
}

function invert(): Int16Array {
  const bytes = new Int16Array(Math.max(...characters) + 1).fill(-1);
  for (const [byte, character] of characters.entries()) bytes[character] = byte;
  return bytes;
}

/** Bytes as GPT-2 spells them. */
export function byteSpelling(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(characters[byte] as number);
  return text;
}

/** Writes the bytes that a text spells to `into` from `at` on, and gives their end; -1 if it spells none. */
export function writeSpelling(text: string, into: Uint8Array, at: number): number {
  for (let i = 0; i < text.length; i++) {
    const byte = bytesByCharacter[text.charCodeAt(i)] ?? -1;
    if (byte < 0) return -1;
    into[at + i] = byte;
  }
  return at + text.length;
}

/** The bytes that a text spells, or undefined if a character is none of the alphabet. */
export function bytesOfSpelling(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(text.length);
  return writeSpelling(text, bytes, 0) < 0 ? undefined : bytes;
}
