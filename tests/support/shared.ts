// Reference data for tests (models, vocabularies, expected texts) is not part of the repository: it lies in
// ../shared beside a checkout. Where it is absent, the tests that need it are skipped and say so.
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { itUnless } from "./skip.ts";

const root = new URL("../../../shared/", import.meta.url);

/** The path of a file of the reference data. */
export function sharedPath(name: string): string {
  return fileURLToPath(new URL(name, root));
}

/** The bytes of a file of the reference data. */
export function sharedBytes(name: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(readFileSync(sharedPath(name)));
}

/** The parsed JSON of a file of the reference data. */
export function sharedJson<T>(name: string): T {
  return JSON.parse(readFileSync(sharedPath(name), "utf8"));
}

/** A test that needs files of the reference data; skipped, with the reason printed, where one is absent. */
export function itShared(names: string[], title: string, body: () => void | Promise<void>): void {
  const missing = names.filter((name) => !existsSync(sharedPath(name)));
  const reason = missing.length > 0 && `../shared/${missing.join(", ../shared/")} is absent`;
  itUnless(reason, title, body);
}
