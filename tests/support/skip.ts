// Tests that cannot run everywhere. Not every test runner prints why a test was skipped, so this does.
import { it } from "node:test";

/** A test; skipped where `reason` says why it cannot run. */
export function itUnless(reason: string | false, title: string, body: () => void | Promise<void>): void {
  if (reason === false) {
    it(title, body);
    return;
  }
  console.log(`skipped: "${title}": ${reason}`);
  it.skip(`${title} (skipped: ${reason})`, () => {});
}
