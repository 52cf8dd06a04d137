// Sole entry of the module that unpacks the others: what scripts/pack.mjs packed.
import {
  AGAIN_AT,
  BYTES_AT,
  DECISIONS,
  LOW_BITS,
  MEMORY,
  NUMBER_SIZE,
  NUMBERS_AT,
  RUN_AT,
  WHICH_AT,
} from "../layout/packed";
import { begin_module, follow } from "./follow";

// Memory: probabilities of decisions less 1/2, in 65536ths, as i16; how many were seen, as u8; from FREE_AT on, the host's.
const SEEN: usize = DECISIONS * 2;

// How much a decision changes a probability, by how many were seen: 1 / (n + 1.5) in 32768ths, as u16.
const SHARES: usize = SEEN + DECISIONS + 1;

let input: usize = 0;
let bits: u32 = 0;
let nBits: i32 = 0;
let range: u32 = 0;
let code: u32 = 0;

/** What packing needs: contexts of bytes as unpacking sees them. */
export { begin_module, follow };

/**
 * Unpacks modules one behind the other to `out`.
 * text   digits of 6 bits, "0" and up but "p" instead of the backslash; what follows it is zero
 * sizes  [n] of u32 pairs: all bytes of a module, and those before its first function
 * Units: pointers bytes, from FREE_AT on; memory was zero before
 * Source: LZMA, with fewer kinds of steps and other contexts
 */
export function unpack(text: usize, sizes: usize, n: u32, out: usize): void {
  input = text;
  range = -1;
  bits = nBits = 0;
  for (let i = 0; i < 4; i++) code = (code << 8) | next_byte();
  for (let n = 0; n <= MEMORY; n++) store<u16>(SHARES + ((<usize>n) << 1), 65536 / (2 * n + 3));
  let end = out;
  let context: u32 = 0;
  // Distances of the last runs, and the last three steps.
  let d0: u32 = 1;
  let d1: u32 = 1;
  let d2: u32 = 1;
  let d3: u32 = 1;
  let steps: u32 = 0;
  let run: u32 = 0;
  for (const last = sizes + ((<usize>n) << 3); sizes < last; sizes += 8) {
    end += load<u32>(sizes);
    begin_module(load<u32>(sizes, 4));
    while (out < end) {
      if (!run) {
        if (!bit(RUN_AT + context * 3 + (steps % 3))) {
          let tree: u32 = 1;
          while (tree < 256) tree = (tree << 1) | bit(BYTES_AT + (context << 8) + tree);
          store<u8>(out++, tree);
          context = follow(tree & 255);
          steps = (steps * 3) % 27;
          continue;
        }
        if (bit(AGAIN_AT + steps)) {
          const at = WHICH_AT + ((steps % 3) << 2);
          if (bit(at)) {
            let distance = d1;
            if (bit(at + 1)) {
              distance = d2;
              if (bit(at + 2)) {
                distance = d3;
                d3 = d2;
              }
              d2 = d1;
            }
            d1 = d0;
            d0 = distance;
          }
          run = number(1);
          steps = (steps * 3 + 2) % 27;
        } else {
          run = number(0) + 1;
          d3 = d2;
          d2 = d1;
          d1 = d0;
          d0 = number(run > 2 ? 3 : 2);
          steps = (steps * 3 + 1) % 27;
        }
      }
      const byte = load<u8>(out - d0);
      store<u8>(out++, byte);
      context = follow(byte);
      run--;
    }
  }
}

function next_byte(): u32 {
  while (nBits < 8) {
    const digit: u32 = load<u8>(input++);
    bits = (bits << 6) | (digit === 112 ? 44 : digit ? digit - 48 : 0);
    nBits += 6;
  }
  nBits -= 8;
  return (bits >>> nBits) & 255;
}

// A decision: 1 with its probability so far.
function bit(i: u32): u32 {
  while (range < 0x1000000) {
    range <<= 8;
    code = (code << 8) | next_byte();
  }
  const at = (<usize>i) << 1;
  const before: i32 = load<i16>(at);
  const n: i32 = load<u8>(SEEN + i);
  const bound = (range >>> 16) * (before + 32768);
  const is = code < bound;
  if (is) range = bound;
  else {
    code -= bound;
    range -= bound;
  }
  store<i16>(
    at,
    before + ((((is ? 32768 : -32768) - before) * load<u16>(SHARES + ((<usize>n) << 1)) + 0x4000) >> 15),
  );
  if (n < MEMORY) store<u8>(SEEN + i, n + 1);
  return is ? 1 : 0;
}

// A number from 1 on: how many bits it has behind its first, and those.
function number(which: u32): u32 {
  const at = NUMBERS_AT + which * NUMBER_SIZE;
  let n: u32 = 0;
  while (bit(at + n)) n++;
  let value: u32 = 1;
  for (let i: u32 = n; i-- > 0; ) {
    value = (value << 1) | bit(at + 32 + (n << 3) + (value < 8 ? value : LOW_BITS + min<u32>(i, 7)));
  }
  return value;
}
