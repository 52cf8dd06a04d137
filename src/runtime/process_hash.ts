// SHA-256 of Bun, Deno and Node, several times as fast as a hash in JavaScript.
import { Sha256, type Sha256Stream } from "../util/sha256.ts";

/** A SHA-256 of the process; cria's own if there is none (an old Node, workerd without nodejs_compat). */
export function processSha256(): Sha256Stream {
  try {
    const hash = globalThis.process?.getBuiltinModule?.("node:crypto").createHash("sha256");
    return hash ? new ProcessSha256(hash) : new Sha256();
  } catch {
    return new Sha256();
  }
}

class ProcessSha256 implements Sha256Stream {
  readonly #hash: import("node:crypto").Hash;

  constructor(hash: import("node:crypto").Hash) {
    this.#hash = hash;
  }

  update(bytes: Uint8Array): void {
    // Not every runtime takes views of shared memory.
    this.#hash.update(bytes.buffer instanceof ArrayBuffer ? bytes : bytes.slice());
  }

  hex(): string {
    return this.#hash.digest("hex");
  }
}
