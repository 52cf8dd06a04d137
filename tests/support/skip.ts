// Tests that cannot run everywhere. Not every test runner prints why a test was skipped, so this does.
import process from "node:process";
import { it } from "node:test";

/** Why a test that starts other programs is left out; false in Bun, which starts them. */
export const twice =
  "deno" in process.versions && "it starts processes of other programs, as the tests in Bun do";

/** A test; skipped where `reason` says why it cannot run. */
export function itUnless(reason: string | false, title: string, body: () => void | Promise<void>): void {
  if (reason === false) {
    it(title, body);
    return;
  }
  console.log(`skipped: "${title}": ${reason}`);
  it.skip(`${title} (skipped: ${reason})`, () => {});
}
