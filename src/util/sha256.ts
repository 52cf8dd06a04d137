// SHA-256 of bytes that come in pieces, for runtimes that do not have it.

/** A SHA-256 that is being computed: this file's, or the runtime's own, which is faster. */
export interface Sha256Stream {
  /** Adds bytes, of shared memory too. */
  update(bytes: Uint8Array): unknown;
  /** The digest of all bytes added, in hexadecimal. Nothing can be added after it. */
  hex(): string;
}

/** Bytes of a SHA-256 digest. */
export const SHA256_BYTES = 32;

const BLOCK_BYTES = 64;
const ROUNDS = 64;

/** The first 32 bits of the fractional part of `root`, a square or cube root that is no integer. */
function fraction(root: number): number {
  return Math.floor((root - Math.floor(root)) * 2 ** 32);
}

function primes(n: number): number[] {
  const found: number[] = [];
  for (let p = 2; found.length < n; p++) if (found.every((q) => p % q !== 0)) found.push(p);
  return found;
}

// A cube root to the last bit: engines need not agree on Math.cbrt.
function cubeRoot(x: number): number {
  let low = 0;
  let high = x;
  for (let i = 0; i < 64; i++) {
    const middle = (low + high) / 2;
    if (middle * middle * middle <= x) low = middle;
    else high = middle;
  }
  return low;
}

const initial = primes(8).map((p) => fraction(Math.sqrt(p)));
const constants = Int32Array.from(primes(ROUNDS), (p) => fraction(cubeRoot(p)));

function rotateRight(x: number, n: number): number {
  return (x >>> n) | (x << (32 - n));
}

/**
 * SHA-256 of bytes that come in pieces. Web Crypto's takes the whole at once, only asynchronously, and is absent
 * on pages without TLS.
 * Source: FIPS 180-4, Secure Hash Standard.
 */
export class Sha256 implements Sha256Stream {
  readonly #state = Int32Array.from(initial);
  readonly #words = new Int32Array(ROUNDS);
  readonly #block = new Uint8Array(BLOCK_BYTES);
  readonly #blockView = new DataView(this.#block.buffer);
  #filled = 0;
  #bytes = 0;

  /** Adds bytes, of shared memory too. */
  update(bytes: Uint8Array): this {
    this.#bytes += bytes.length;
    let at = 0;
    if (this.#filled > 0) {
      at = Math.min(BLOCK_BYTES - this.#filled, bytes.length);
      this.#block.set(bytes.subarray(0, at), this.#filled);
      this.#filled += at;
      if (this.#filled < BLOCK_BYTES) return this;
      this.#compress(this.#blockView, 0);
      this.#filled = 0;
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (; at + BLOCK_BYTES <= bytes.length; at += BLOCK_BYTES) this.#compress(view, at);
    this.#block.set(bytes.subarray(at));
    this.#filled = bytes.length - at;
    return this;
  }

  /** The digest of all bytes added. Nothing can be added after it. */
  digest(): Uint8Array<ArrayBuffer> {
    const bits = this.#bytes * 8;
    const padding = new Uint8Array((this.#filled < 56 ? 56 : 120) - this.#filled + 8);
    padding[0] = 0x80;
    const view = new DataView(padding.buffer);
    view.setUint32(padding.length - 8, Math.floor(bits / 2 ** 32));
    view.setUint32(padding.length - 4, bits >>> 0);
    this.update(padding);
    const digest = new Uint8Array(SHA256_BYTES);
    const out = new DataView(digest.buffer);
    this.#state.forEach((word, i) => {
      out.setInt32(4 * i, word);
    });
    return digest;
  }

  /** The digest in hexadecimal. */
  hex(): string {
    return Array.from(this.digest(), (byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  #compress(view: DataView, at: number): void {
    const w = this.#words;
    const h = this.#state;
    for (let i = 0; i < 16; i++) w[i] = view.getInt32(at + 4 * i);
    for (let i = 16; i < ROUNDS; i++) {
      const x = w[i - 15]!;
      const y = w[i - 2]!;
      const s0 = rotateRight(x, 7) ^ rotateRight(x, 18) ^ (x >>> 3);
      const s1 = rotateRight(y, 17) ^ rotateRight(y, 19) ^ (y >>> 10);
      w[i] = (w[i - 16]! + s0 + w[i - 7]! + s1) | 0;
    }
    let a = h[0]!;
    let b = h[1]!;
    let c = h[2]!;
    let d = h[3]!;
    let e = h[4]!;
    let f = h[5]!;
    let g = h[6]!;
    let k = h[7]!;
    for (let i = 0; i < ROUNDS; i++) {
      const s1 = rotateRight(e, 6) ^ rotateRight(e, 11) ^ rotateRight(e, 25);
      const t1 = (k + s1 + ((e & f) ^ (~e & g)) + constants[i]! + w[i]!) | 0;
      const s0 = rotateRight(a, 2) ^ rotateRight(a, 13) ^ rotateRight(a, 22);
      const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      k = g;
      g = f;
      f = e;
      e = (d + t1) | 0;
      d = c;
      c = b;
      b = a;
      a = (t1 + t2) | 0;
    }
    h[0]! += a;
    h[1]! += b;
    h[2]! += c;
    h[3]! += d;
    h[4]! += e;
    h[5]! += f;
    h[6]! += g;
    h[7]! += k;
  }
}

/** The SHA-256 of a text's UTF-8, in hexadecimal. */
export function sha256Hex(text: string): string {
  return new Sha256().update(new TextEncoder().encode(text)).hex();
}
