// Random numbers that no result depends on: default seeds, names of files, pauses.

/** `n` random words. Without `crypto` they come from the clocks. */
export function randomWords(n: number): Uint32Array {
  const words = new Uint32Array(n);
  if (typeof crypto !== "undefined") return crypto.getRandomValues(words);
  for (let i = 0; i < n; i++) {
    const time = Date.now() + 1000 * performance.now() + calls++;
    words[i] = Math.imul((time % 2 ** 32) ^ (time / 2 ** 32), 0x9e3779b1);
  }
  return words;
}

let calls = 0;
