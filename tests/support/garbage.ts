// Garbage collections that tests call, in Bun, Deno and Node.
import assert from "node:assert/strict";
import process from "node:process";

function collect(): void {
  const { Bun } = globalThis as { Bun?: { gc(wait: boolean): void } };
  if (Bun) {
    Bun.gc(true);
  } else {
    process.getBuiltinModule("node:v8").setFlagsFromString("--expose-gc");
    process.getBuiltinModule("node:vm").runInNewContext("gc")();
  }
}

/** Collects garbage and lets what was collected be reported, until `condition` holds; fails after 200 times. */
export async function collectUntil(condition: () => boolean, what: string): Promise<void> {
  for (let i = 0; !condition(); i++) {
    if (i === 200) assert.fail(`${what}: not collected`);
    collect();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
