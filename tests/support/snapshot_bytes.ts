// Snapshots that were changed, refused, or restored in another runtime.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { type Llama, SnapshotError } from "../../src/mod.ts";

const CHECKSUM_AT = 16;
/** Where the description begins. */
export const BODY_AT = 48;

/** Makes the checksum right, so that what lies behind it is looked at. */
export function sealed(bytes: Uint8Array): Uint8Array {
  const hash = createHash("sha256").update(bytes.subarray(0, CHECKSUM_AT)).update(bytes.subarray(BODY_AT));
  bytes.set(hash.digest(), CHECKSUM_AT);
  return bytes;
}

/** What a snapshot says of itself. */
export type Description = Record<string, unknown> & {
  readonly settings: Record<string, unknown>;
  readonly generation: Record<string, unknown> & { readonly sampling: Record<string, unknown> };
};

/** A snapshot whose description was changed, with a right checksum. */
export function described(bytes: Uint8Array, change: (description: Description) => unknown): Uint8Array {
  const length = new DataView(bytes.buffer).getUint32(12, true);
  const description = JSON.parse(new TextDecoder().decode(bytes.subarray(BODY_AT, BODY_AT + length)));
  const changed = change(description);
  const text = new TextEncoder().encode(typeof changed === "string" ? changed : JSON.stringify(description));
  const result = new Uint8Array([
    ...bytes.subarray(0, BODY_AT),
    ...text,
    ...bytes.subarray(BODY_AT + length),
  ]);
  new DataView(result.buffer).setUint32(12, text.length, true);
  return sealed(result);
}

/** Expects that a snapshot is refused. */
export function refusesSnapshot(llama: Llama, bytes: Uint8Array, message: RegExp): void {
  assert.throws(
    () => llama.restore(bytes),
    (error) => {
      assert.ok(error instanceof SnapshotError, String(error));
      assert.equal(error.code, "SNAPSHOT");
      assert.match(error.message, message);
      return true;
    },
  );
}

/** What a process of the other runtime generates from a snapshot. `more`: precision, KV type, threads and model. */
export function restoredElsewhere(file: string, ...more: readonly (string | number)[]): unknown {
  const script = fileURLToPath(new URL("restore.ts", import.meta.url));
  const bin = (name: string) => fileURLToPath(new URL(`../../node_modules/.bin/${name}`, import.meta.url));
  const [command, ...flags] =
    "deno" in process.versions ? [bin("bun")] : [bin("deno"), "run", "-A", "--no-check"];
  const args = [...flags, script, file, ...more.map(String)];
  return JSON.parse(execFileSync(command as string, args, { encoding: "utf8", timeout: 60_000 }));
}
