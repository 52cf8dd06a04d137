// Rebuilds kernel modules from the one that is stored whole.

/**
 * Rebuilds a module from a similar one. The four builds of the kernels differ in a few thousand bytes, so one is stored
 * whole and the others as patches of it. scripts/build.mjs writes a patch, whose numbers are LEB128: the length of the
 * result; then, until it is full, a number of new bytes, those bytes, a number of bytes to copy from `base`, and how far
 * that copy begins from where it would if the new bytes had replaced as many: 0, -1, 1, -2 … as 0, 1, 2, 3 …
 */
export function applyPatch(base: Uint8Array, patch: Uint8Array): Uint8Array<ArrayBuffer> {
  let at = 0;
  const next = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = patch[at++] as number;
      value |= (byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  const result = new Uint8Array(next());
  for (let filled = 0, from = 0; filled < result.length; ) {
    const fresh = next();
    result.set(patch.subarray(at, at + fresh), filled);
    at += fresh;
    filled += fresh;
    const copied = next();
    const distance = next();
    from += fresh + (distance & 1 ? -(distance + 1) / 2 : distance / 2);
    result.set(base.subarray(from, from + copied), filled);
    from += copied;
    filled += copied;
  }
  return result;
}
