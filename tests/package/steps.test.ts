// One list of steps for `bun run ok`, continuous integration and the host's workflow.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";

interface Step {
  readonly name: string;
  readonly run: readonly string[];
  readonly onlyInCI?: boolean;
}

const { steps }: { steps: readonly Step[] } = await import(
  new URL("../../scripts/steps.mjs", import.meta.url).href
);

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");

describe("steps", () => {
  it("are one list, of which `bun run ok` leaves out what only CI runs", () => {
    const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
    assert.equal(scripts.ok, "node scripts/ci.mjs --local");
    assert.match(read(".ci/run"), /^exec node scripts\/ci\.mjs$/m);
    assert.match(read(".github/workflows/ci.yml"), /run: \.ci\/run$/m);
    const local = steps.filter(({ onlyInCI }) => !onlyInCI).map(({ run }) => run.slice(-2).join(" "));
    assert.deepEqual(
      ["build.mjs --check", "tsconfig.json", "assembly/tsconfig.json", "check .", "run test"].filter(
        (end) => !local.some((command) => command.endsWith(end)),
      ),
      [],
    );
  });

  it("say each what they are", () => {
    const names = steps.map(({ name }) => name);
    assert.equal(new Set(names).size, names.length);
    for (const { run } of steps) assert.ok(run.length > 1);
  });
});
