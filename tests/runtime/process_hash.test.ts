// The runtime's own SHA-256 and cria's give the same digests, whatever the length and wherever it is cut.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";
import { browserRuntime } from "../../src/runtime/browser.ts";
import { detectRuntime } from "../../src/runtime/detect.ts";
import { processSha256 } from "../../src/runtime/process_hash.ts";
import { workerdRuntime } from "../../src/runtime/workerd.ts";
import { bytesSource } from "../../src/source/bytes.ts";
import { checkDigest } from "../../src/source/digest.ts";
import { SourceError } from "../../src/util/errors.ts";
import { Sha256 } from "../../src/util/sha256.ts";
import { refused } from "../support/refused.ts";

function random(n: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(n);
  for (let i = 0; i < n; i++) bytes[i] = (i * 2654435761) >>> 13;
  return bytes;
}

const digest = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const makers = {
  "processSha256()": processSha256,
  "the runtime's": detectRuntime().sha256,
  "a browser's": browserRuntime().sha256,
  "workerd's": workerdRuntime().sha256,
};

describe("sha256() of runtimes", () => {
  for (const [title, make] of Object.entries(makers)) {
    it(`${title} is right at every length, and wherever it is cut`, () => {
      for (let n = 0; n <= 200; n++) {
        const bytes = random(n);
        const expected = digest(bytes);
        for (const cut of new Set([0, 1, 55, 56, 63, 64, 65, n >> 1, Math.max(0, n - 1), n])) {
          const hash = make();
          hash.update(bytes.subarray(0, cut));
          hash.update(bytes.subarray(cut));
          assert.equal(hash.hex(), expected, `${n} bytes, cut at ${cut}`);
        }
      }
      const bytes = random(200);
      for (const step of [1, 3, 64, 127]) {
        const hash = make();
        for (let at = 0; at < bytes.length; at += step) hash.update(bytes.subarray(at, at + step));
        assert.equal(hash.hex(), digest(bytes), `pieces of ${step}`);
      }
    });

    it(`${title} reads views, of shared memory too`, () => {
      const bytes = random(300);
      const shared = new Uint8Array(new SharedArrayBuffer(303), 1, 300);
      shared.set(bytes);
      for (const view of [shared, Buffer.from(bytes), random(300).subarray(0, 300)]) {
        const hash = make();
        hash.update(view);
        assert.equal(hash.hex(), digest(bytes));
      }
    });
  }

  it("is the process's own in a process", () => {
    assert.ok(!(detectRuntime().sha256() instanceof Sha256));
    assert.ok(browserRuntime().sha256() instanceof Sha256);
  });

  it("is cria's own where the process has none", () => {
    const { process } = globalThis;
    const { getBuiltinModule } = process;
    for (const absent of [
      undefined,
      () => undefined,
      () => {
        throw new Error("refused");
      },
    ]) {
      process.getBuiltinModule = absent as typeof getBuiltinModule;
      try {
        assert.ok(processSha256() instanceof Sha256);
      } finally {
        process.getBuiltinModule = getBuiltinModule;
      }
    }
  });

  it("checks sources of any size, and says what it found", async () => {
    for (const n of [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20, (3 << 20) + 5]) {
      const bytes = random(n);
      for (const make of Object.values(makers)) {
        await checkDigest(bytesSource(bytes), n, digest(bytes), make());
        await refused(
          checkDigest(bytesSource(bytes), n, "5".repeat(64), make()),
          new RegExp(`^Cannot load bytes: Expected SHA-256 5{64}, got ${digest(bytes)}$`),
          SourceError,
        );
      }
    }
  });
});
