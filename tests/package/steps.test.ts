// One list of steps for `bun run ok`, continuous integration and the host's workflow.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";

interface Step {
  readonly name: string;
  readonly run: readonly string[];
  readonly onlyInCI?: boolean;
}

const { steps, startingOthers }: { steps: readonly Step[]; startingOthers: readonly string[] } = await import(
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
      ["build.mjs --check", "tsconfig.json", "assembly/tsconfig.json", "check ."].filter(
        (end) => !local.some((command) => command.endsWith(end)),
      ),
      [],
    );
  });

  it("run each test in Bun, and in Deno all but those that start other programs", () => {
    const files = readdirSync(new URL("../../tests", import.meta.url), { recursive: true, encoding: "utf8" })
      .map((name) => `tests/${name.replaceAll("\\", "/")}`)
      .filter((name) => name.endsWith(".test.ts"));
    const inBun = steps.filter(
      ({ run, onlyInCI }) => run.includes("bun") && run.includes("test") && !onlyInCI,
    );
    const [all, ...parts] = inBun.map(({ run }) => run.slice(run.indexOf("120000") + 1));
    const ignored = startingOthers.map((folder) => `--path-ignore-patterns=${folder}/**`);
    assert.deepEqual(all, ["./tests", ...ignored]);
    assert.deepEqual(
      parts,
      startingOthers.map((folder) => [`./${folder}`]),
    );
    const inDeno = steps.filter(({ run }) => run.includes("tests/"));
    assert.deepEqual(
      inDeno.map(({ run }) => run.slice(-2)),
      [[`--ignore=${startingOthers}`, "tests/"]],
    );
    for (const folder of startingOthers) {
      assert.ok(
        files.some((file) => file.startsWith(`${folder}/`)),
        `${folder} has no tests`,
      );
    }
  });

  it("say each what they are", () => {
    const names = steps.map(({ name }) => name);
    assert.equal(new Set(names).size, names.length);
    for (const { run } of steps) assert.ok(run.length > 1);
  });
});
