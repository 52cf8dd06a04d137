// Reference data of other people (models, vocabularies, expected texts), which is not part of the repository: it lies
// in ../shared beside a checkout. If a file is absent, the tests that need it are left out and say so.
import { existsSync, readFileSync } from "node:fs";
import { it } from "node:test";
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

/** A test that needs files of the reference data; skipped if one is absent, with the reason printed. */
export function itShared(names: string[], title: string, body: () => void | Promise<void>): void {
  const missing = names.filter((name) => !existsSync(sharedPath(name)));
  const reason = missing.length > 0 && `../shared/${missing.join(", ../shared/")} is absent`;
  itUnless(reason, title, body);
}

/** What a test is run on: own data, or files of the reference data. */
export interface Subject<T> {
  readonly name: string;
  /** Files of the reference data; none for what is in the repository. */
  readonly needs?: readonly string[];
  readonly value: T;
}

/**
 * One test on several subjects. Those of the repository are always tested, and there must be one. Those of the
 * reference data are tested if their files are there; otherwise a line says that they are left out.
 */
export function itOn<T>(
  subjects: readonly Subject<T>[],
  title: string,
  body: (value: T) => void | Promise<void>,
): void {
  if (!subjects.some(({ needs }) => needs === undefined)) {
    throw new Error(`"${title}" has no subject of its own`);
  }
  for (const { name, needs = [], value } of subjects) {
    const missing = needs.filter((file) => !existsSync(sharedPath(file)));
    if (missing.length === 0) it(`${title}: ${name}`, () => body(value));
    else console.log(`left out: "${title}: ${name}": ../shared/${missing.join(", ../shared/")} is absent`);
  }
}
