// What comes before kernels are timed.

/**
 * Calls `call` for `ms` milliseconds, so that the runtime has compiled what it runs, but no more than `most` times: Cloudflare's clock
 * stands still while a script computes. False if it did: then nothing can be timed.
 * @param now milliseconds
 */
export function warmUp(ms: number, most: number, now: () => number, call: () => void): boolean {
  const begin = now();
  for (let i = 0; i < most && now() - begin < ms; i++) call();
  return now() > begin;
}
