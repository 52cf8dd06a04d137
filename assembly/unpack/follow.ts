// Tells what the next byte of a WebAssembly module is, so that modules pack well. What it takes for something else costs
// size, nothing more.

// Opcodes of what is no instruction: all but functions; size and number of locals of a function; their types; branch targets.
const OUTSIDE: u32 = 0x1c;
const HEAD: u32 = 0x1d;
const LOCALS: u32 = 0x1e;
const TARGETS: u32 = 0x1f;

const BR_TABLE: u32 = 0x0e;
const END: u32 = 0x0b;
// Instructions of further tables begin with such a byte.
const MISC: u32 = 0xfc;
const SIMD: u32 = 0xfd;
const ATOMIC: u32 = 0xfe;

let opcode: u32 = 0;
// Operands that follow: bytes, or numbers of 7 bits a byte.
let left: u32 = 0;
let isRaw: bool = false;
let place: u32 = 0;
let value: u32 = 0;
let depth: u32 = 0;

/** Begins a module whose first function stands behind `beforeCode` bytes. */
export function begin_module(beforeCode: u32): void {
  depth = 0;
  expect(OUTSIDE, beforeCode, true);
}

/** Takes note of a byte. Returns the context of the next one, below CONTEXTS. */
export function follow(byte: u32): u32 {
  if (left) {
    place++;
    value = (value << 7) | (byte & 127);
    if (isRaw || byte < 128) {
      left--;
      if (left) value = 0;
      else ended();
    }
  } else if (byte === END && !depth) {
    expect(HEAD, 2, false);
  } else {
    if (byte - 2 < 3) depth++;
    if (byte === END) depth--;
    if (byte === 0x43 || byte === 0x44) expect(byte, (byte - 0x42) << 2, true);
    else expect(byte, operands(byte), false);
  }
  return left ? ((1 + (place & 3)) << 9) | opcode : opcode;
}

function expect(code: u32, operands: u32, raw: bool): void {
  opcode = code;
  left = operands;
  isRaw = raw;
  place = 0;
  value = 0;
}

// The last operand has ended.
function ended(): void {
  if (opcode === OUTSIDE) expect(HEAD, 2, false);
  else if (opcode === HEAD) expect(LOCALS, value << 1, false);
  else if (opcode === BR_TABLE) expect(TARGETS, value + 1, false);
  else if (opcode >= MISC && opcode <= ATOMIC) {
    const code = 256 | (value & 255);
    // In SIMD the number's bytes are in the wrong order from 128 on: those instructions have no operands anyway.
    if (opcode === SIMD) {
      if (value - 12 < 2) expect(code, 16, true);
      else
        expect(code, value < 12 || value - 92 < 2 ? 2 : value - 84 < 8 ? 3 : value - 21 < 14 ? 1 : 0, false);
    } else expect(code, opcode === ATOMIC ? 2 : value > 9 ? 1 : 0, false);
  }
}

/** How many numbers follow an opcode. */
function operands(code: u32): u32 {
  if (code === 0x11 || code - 0x28 < 0x17) return 2;
  const isOne =
    code - 2 < 3 || code - 0x0c < 3 || code === 0x10 || code - 0x20 < 5 || code - 0x3f < 4 || code - MISC < 3;
  return isOne ? 1 : 0;
}
