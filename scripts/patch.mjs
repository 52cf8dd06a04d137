// Encodes bytes as a patch of similar bytes, which src/kernels/patch.ts applies.

/** Shortest run to copy. The two numbers of a copy take up to five bytes. */
const MIN_RUN = 6;
/** Most places of the base to try for one run, because kernels repeat short sequences often. */
const MAX_TRIED = 256;

function leb128(out, value) {
  for (; value >= 128; value >>>= 7) out.push((value & 127) | 128);
  out.push(value);
}

/** The positions of each sequence of MIN_RUN bytes. */
function indexRuns(base) {
  const places = new Map();
  for (let i = 0; i + MIN_RUN <= base.length; i++) {
    const key = base.toString("latin1", i, i + MIN_RUN);
    const known = places.get(key);
    if (!known) places.set(key, [i]);
    else if (known.length < MAX_TRIED) known.push(i);
  }
  return places;
}

/** The longest run of `base` that equals `target` from `at` on. */
function longestRun(base, target, at, places) {
  let best = { from: 0, length: 0 };
  for (const from of places.get(target.toString("latin1", at, at + MIN_RUN)) ?? []) {
    let length = 0;
    while (at + length < target.length && target[at + length] === base[from + length]) length++;
    if (length > best.length) best = { from, length };
  }
  return best;
}

/** A patch that turns `base` into `target`. */
export function makePatch(base, target) {
  const places = indexRuns(base);
  const out = [];
  leb128(out, target.length);
  for (let begin = 0, at = 0; at < target.length; ) {
    const run = longestRun(base, target, at, places);
    at += Math.max(1, run.length);
    if (run.length === 0 && at < target.length) continue;
    const fresh = target.subarray(begin, at - run.length);
    leb128(out, fresh.length);
    out.push(...fresh);
    leb128(out, run.length);
    leb128(out, run.from);
    begin = at;
  }
  return Buffer.from(out);
}
