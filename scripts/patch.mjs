// Encodes bytes as a patch of similar bytes, which src/kernels/patch.ts applies.

/** Shortest run to copy. The two numbers of a copy take up to five bytes. */
const MIN_RUN = 6;
/** Most places of the base to try for one run, because kernels repeat short sequences often. */
const MAX_TRIED = 4096;
/**
 * By how many bytes a run must be longer for each byte of its distance. A run that goes on where the last one ended has
 * none. Modules mostly do, and then all patches look alike: gzipped, they take half as much as with the longest runs.
 */
const DISTANCE_COST = 6;

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

function distanceCost(distance) {
  const size = Math.abs(distance);
  return DISTANCE_COST * (size === 0 ? 0 : size < 64 ? 1 : size < 8192 ? 2 : 3);
}

/** The best run of `base` that equals `target` from `at` on, if one is worth it; `near` costs no distance. */
function bestRun(base, target, at, near, places) {
  let best = { from: near, length: 0 };
  let most = -1;
  for (const from of places.get(target.toString("latin1", at, at + MIN_RUN)) ?? []) {
    let length = 0;
    while (at + length < target.length && target[at + length] === base[from + length]) length++;
    const worth = length - distanceCost(from - near);
    if (worth > most) {
      most = worth;
      best = { from, length };
    }
  }
  return best;
}

/** A patch that turns `base` into `target`. */
export function makePatch(base, target) {
  const places = indexRuns(base);
  const out = [];
  leb128(out, target.length);
  // Without new bytes between them, a copy begins where the one before it ended.
  let expected = 0;
  for (let begin = 0, at = 0; at < target.length; ) {
    const near = expected + at - begin;
    const run = bestRun(base, target, at, near, places);
    at += Math.max(1, run.length);
    if (run.length === 0 && at < target.length) continue;
    const fresh = target.subarray(begin, at - run.length);
    // A last byte that is not copied is new, too.
    const distance = run.length > 0 ? run.from - near : 0;
    leb128(out, fresh.length);
    out.push(...fresh);
    leb128(out, run.length);
    leb128(out, distance < 0 ? -2 * distance - 1 : 2 * distance);
    expected += fresh.length + distance + run.length;
    begin = at;
  }
  return Buffer.from(out);
}
