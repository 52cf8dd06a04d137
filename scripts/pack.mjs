// Packs modules as text, which assembly/unpack/ unpacks.
import { readFileSync } from "node:fs";

// The constants that both sides share.
const layout = readFileSync(new URL("../assembly/layout/packed.ts", import.meta.url), "utf8");
const constants = Object.fromEntries(
  [...layout.matchAll(/^export const (\w+) = (\d+);$/gm)].map(([, name, value]) => [name, Number(value)]),
);
const { CONTEXTS, DECISIONS, MEMORY, RUN_AT, AGAIN_AT, WHICH_AT } = constants;
const { NUMBERS_AT, NUMBER_SIZE, LOW_BITS, BYTES_AT } = constants;

/** How often the packing is improved with the probabilities of the one before. */
const ROUNDS = 6;
/** Most earlier places that are tried at a byte. */
const MAX_TRIED = 400;
/** A run of so many bytes is taken, whatever else there is. */
const LONG = 600;
/** Of runs above it, only those are weighed that are as long as they can be. */
const WEIGHED = 200;

/** Costs of decisions in units of 1 / 4096 bit, by their probability in 4096ths. Integers, so that every machine packs alike. */
const COSTS = Int32Array.from({ length: 4097 }, (_, p) =>
  Math.round(-4096 * Math.log2(Math.max(p, 0.5) / 4096)),
);

/** What decisions cost, and how often they fall how. */
class Decisions {
  ones = new Int16Array(DECISIONS);
  #seen = new Uint8Array(DECISIONS);
  /** Is told probability (of 65536) and value of each decision. */
  #written;

  constructor(written) {
    this.#written = written;
  }

  code(i, is) {
    const one = this.ones[i] + 32768;
    this.#written(one, is);
    const share = Math.floor(65536 / (2 * this.#seen[i] + 3));
    this.ones[i] += (((is ? 65536 : 0) - one) * share + 0x4000) >> 15;
    if (this.#seen[i] < MEMORY) this.#seen[i]++;
  }

  /** What a decision costs with the probabilities as they are. */
  cost(i, is) {
    const one = (this.ones[i] + 32768) >> 4;
    return COSTS[is ? one : 4096 - one];
  }
}

/** Goes through the decisions that make a number. */
function number(which, value, decide) {
  const at = NUMBERS_AT + which * NUMBER_SIZE;
  const n = 31 - Math.clz32(value);
  for (let i = 0; i < n; i++) decide(at + i, 1);
  decide(at + n, 0);
  let known = 1;
  for (let i = n - 1; i >= 0; i--) {
    const is = (value >> i) & 1;
    decide(at + 32 + n * 8 + (known < 8 ? known : LOW_BITS + Math.min(i, 7)), is);
    known = known * 2 + is;
  }
}

function byteTree(context, byte, decide) {
  for (let tree = 1, i = 7; i >= 0; i--) {
    const is = (byte >> i) & 1;
    decide(BYTES_AT + context * 256 + tree, is);
    tree = tree * 2 + is;
  }
}

/** Goes through the decisions that make the `which`-th of the last distances. */
function whichOf(steps, which, decide) {
  const at = WHICH_AT + (steps % 3) * 4;
  for (let i = 0; i < which; i++) decide(at + i, 1);
  if (which < 3) decide(at + which, 0);
}

/** The context of each byte. */
function contextsOf(bytes, sizes, { begin_module, follow }) {
  const contexts = new Uint16Array(bytes.length + 1);
  let at = 0;
  for (const [length, beforeCode] of sizes) {
    begin_module(beforeCode);
    for (const end = at + length; at < end; at++) contexts[at + 1] = follow(bytes[at]);
  }
  const most = contexts.reduce((a, b) => Math.max(a, b));
  if (most >= CONTEXTS) throw new Error(`Expected contexts below ${CONTEXTS}, got ${most}`);
  return contexts;
}

/** Earlier runs that begin like the bytes from each place on: [length, distance], ever longer ones, the nearest of each length. */
function runsOf(bytes) {
  const { length } = bytes;
  const before = new Int32Array(length).fill(-1);
  const pairs = new Map();
  const triples = new Map();
  let best = [];
  return Array.from(bytes, (_, i) => {
    const pair = bytes[i] * 256 + bytes[i + 1];
    const triple = pair * 256 + bytes[i + 2];
    const [size = 0, distance] = best.at(-1) ?? [];
    best = [];
    if (size > LONG) best.push([size - 1, distance]);
    else if (pairs.has(pair)) {
      let longest = 2;
      best.push([2, i - pairs.get(pair)]);
      for (let at = triples.get(triple) ?? -1, tried = 0; at >= 0 && tried < MAX_TRIED; tried++) {
        let n = 0;
        if (bytes[at + longest] === bytes[i + longest])
          while (i + n < length && bytes[at + n] === bytes[i + n]) n++;
        if (n > longest) {
          best.push([n, i - at]);
          longest = n;
        }
        at = before[at];
      }
    }
    before[i] = triples.get(triple) ?? -1;
    pairs.set(pair, i);
    triples.set(triple, i);
    return best;
  });
}

/** Codes bytes as `steps` of [length, distance], a single byte with distance 0. Returns the decisions' last probabilities. */
function encode(bytes, contexts, taken, written) {
  const decisions = new Decisions(written);
  const decide = (i, is) => decisions.code(i, is);
  const distances = [1, 1, 1, 1];
  let steps = 0;
  let at = 0;
  for (const [length, distance] of taken) {
    const context = contexts[at];
    decide(RUN_AT + context * 3 + (steps % 3), distance > 0 ? 1 : 0);
    if (distance === 0) {
      byteTree(context, bytes[at], decide);
      steps = (steps * 3) % 27;
    } else {
      const which = distances.indexOf(distance);
      decide(AGAIN_AT + steps, which >= 0 ? 1 : 0);
      if (which >= 0) {
        whichOf(steps, which, decide);
        number(1, length, decide);
        distances.splice(which, 1);
      } else {
        number(0, length - 1, decide);
        number(length > 2 ? 3 : 2, distance, decide);
        distances.pop();
      }
      distances.unshift(distance);
      steps = (steps * 3 + (which >= 0 ? 2 : 1)) % 27;
    }
    at += length;
  }
  return decisions;
}

/** The cheapest steps, as far as the probabilities of `decisions` hold. */
function cheapest(bytes, contexts, runs, decisions) {
  const { length } = bytes;
  const costs = new Float64Array(length + 1).fill(Number.POSITIVE_INFINITY);
  const taken = new Array(length + 1);
  const states = new Array(length + 1);
  costs[0] = 0;
  states[0] = { steps: 0, distances: [1, 1, 1, 1] };
  let cost = 0;
  const add = (i, is) => {
    cost += decisions.cost(i, is);
  };
  const known = new Map();
  const numberCost = (which, value) => {
    const key = value * 4 + which;
    let found = known.get(key);
    if (found === undefined) {
      cost = 0;
      number(which, value, add);
      found = cost;
      known.set(key, found);
    }
    return found;
  };
  const offer = (at, run, distance, price, state, kind, which) => {
    const to = at + run;
    if (price >= costs[to]) return;
    costs[to] = price;
    taken[to] = [run, distance];
    const { distances } = state;
    let next = distances;
    if (which > 0) next = [distance, ...distances.filter((_, i) => i !== which)];
    else if (which < 0) next = [distance, ...distances.slice(0, 3)];
    states[to] = { steps: (state.steps * 3 + kind) % 27, distances: next };
  };
  for (let at = 0; at < length; ) {
    const state = states[at];
    const { steps, distances } = state;
    const context = contexts[at];
    const run = RUN_AT + context * 3 + (steps % 3);
    const isRun = costs[at] + decisions.cost(run, 1);
    let longest = 0;
    for (let which = 0; which < 4; which++) {
      const distance = distances[which];
      let n = 0;
      if (distance <= at) while (at + n < length && bytes[at + n] === bytes[at + n - distance]) n++;
      if (n === 0) continue;
      longest = Math.max(longest, n);
      cost = isRun + decisions.cost(AGAIN_AT + steps, 1);
      whichOf(steps, which, add);
      const price = cost;
      for (let i = n; i > 0; i = Math.min(i - 1, WEIGHED)) {
        offer(at, i, distance, price + numberCost(1, i), state, 2, which);
      }
    }
    const isOther = isRun + decisions.cost(AGAIN_AT + steps, 0);
    let shorter = 1;
    for (const [n, distance] of runs[at]) {
      longest = Math.max(longest, n);
      for (let i = n; i > shorter; i = Math.min(i - 1, Math.max(WEIGHED, shorter))) {
        const price = isOther + numberCost(0, i - 1) + numberCost(i > 2 ? 3 : 2, distance);
        offer(at, i, distance, price, state, 1, distances.indexOf(distance) === 0 ? 0 : -1);
      }
      shorter = n;
    }
    cost = costs[at] + decisions.cost(run, 0);
    byteTree(context, bytes[at], add);
    offer(at, 1, 0, cost, state, 0, 0);
    at += longest > LONG ? longest : 1;
  }
  const steps = [];
  for (let at = length; at > 0; at -= taken[at][0]) steps.push(taken[at]);
  return steps.reverse();
}

/** Writes decisions as bytes: the range coder of LZMA, whose decoder is in src/util/packed.ts. */
class RangeEncoder {
  #bytes = [];
  #low = 0;
  #range = 2 ** 32 - 1;

  write(one, is) {
    const bound = (this.#range >>> 16) * one;
    if (is) this.#range = bound;
    else {
      this.#low += bound;
      this.#range -= bound;
    }
    if (this.#low >= 2 ** 32) {
      this.#low -= 2 ** 32;
      let i = this.#bytes.length - 1;
      for (; this.#bytes[i] === 255; i--) this.#bytes[i] = 0;
      this.#bytes[i]++;
    }
    while (this.#range < 2 ** 24) {
      this.#bytes.push(Math.floor(this.#low / 2 ** 24));
      this.#low = (this.#low % 2 ** 24) * 256;
      this.#range *= 256;
    }
  }

  end() {
    for (let i = 0; i < 4; i++) {
      this.#bytes.push(Math.floor(this.#low / 2 ** 24));
      this.#low = (this.#low % 2 ** 24) * 256;
    }
    // The decoder reads zeros behind the end.
    while (this.#bytes.at(-1) === 0) this.#bytes.pop();
    return Buffer.from(this.#bytes);
  }
}

/** How many bytes of a module stand before its first function. */
function beforeCode(module) {
  let at = 8;
  const number = () => {
    for (let value = 0, scale = 1; ; scale *= 128) {
      const byte = module[at++];
      value += (byte & 127) * scale;
      if (!(byte >= 128)) return value;
    }
  };
  while (at < module.length) {
    const section = module[at++];
    const length = number();
    if (section === 10) {
      number();
      return at;
    }
    at += length;
  }
  return module.length;
}

/** Digits of 6 bits that unpack() reads: 64 characters that are equally frequent, so that gzip takes 6 bits for each. */
function digits(bytes) {
  const characters = [];
  for (let at = 0; at < bytes.length * 8; at += 6) {
    const pair = (bytes[at >> 3] << 8) | (bytes[(at >> 3) + 1] ?? 0);
    const digit = (pair >> (10 - (at & 7))) & 63;
    characters.push(digit === 44 ? 112 : digit + 48);
  }
  return Buffer.from(characters).toString();
}

/**
 * Packs modules, one behind the other, as `text` and the `sizes` that unpack() takes.
 * @param unpacker what the module of assembly/unpack/ exports
 */
export function pack(modules, unpacker) {
  const bytes = Buffer.concat(modules);
  const sizes = modules.map((module) => [module.length, beforeCode(module)]);
  const contexts = contextsOf(bytes, sizes, unpacker);
  const runs = runsOf(bytes);
  let taken = [];
  for (let at = 0; at < bytes.length; at += taken.at(-1)[0]) {
    const run = runs[at].at(-1);
    taken.push(run?.[0] > 3 ? run : [1, 0]);
  }
  let best;
  for (let round = 0; round < ROUNDS; round++) {
    const encoder = new RangeEncoder();
    const decisions = encode(bytes, contexts, taken, (one, is) => encoder.write(one, is));
    const packed = encoder.end();
    if (!best || packed.length < best.length) best = packed;
    if (round < ROUNDS - 1) taken = cheapest(bytes, contexts, runs, decisions);
  }
  return { text: digits(best), sizes };
}
