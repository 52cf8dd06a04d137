// What package.json says of the package, and that npm publishes none that does not say where it comes from.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { root, runProcess, temporaryFolder } from "../support/package.ts";

const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

describe("package.json", () => {
  it("describes the package", () => {
    assert.ok(manifest.keywords.length >= 10);
    assert.equal(new Set(manifest.keywords).size, manifest.keywords.length);
    for (const name of ["description", "license", "author"]) assert.ok(manifest[name], name);
    assert.equal(manifest.scripts.prepublishOnly, "node scripts/publish_check.mjs");
  });

  it("is not published before it has the project's address", async () => {
    const folder = temporaryFolder();
    const check = (changes: object) => {
      const path = join(folder, "package.json");
      writeFileSync(path, JSON.stringify({ ...manifest, ...changes }));
      return runProcess("node", [join(root, "scripts/publish_check.mjs"), path]);
    };
    const none = { repository: undefined, homepage: undefined, bugs: undefined };
    const refused = await check(none);
    assert.equal(refused.status, 1);
    assert.match(
      refused.stderr,
      /^Cannot publish: Expected repository\.url, homepage, bugs\.url in package\.json/,
    );
    const addresses = {
      repository: { type: "git", url: "git+https://example.com/cria.git" },
      homepage: "https://example.com/cria",
      bugs: { url: "https://example.com/cria/issues" },
    };
    assert.equal((await check(addresses)).status, 0);
    assert.match((await check({ ...addresses, homepage: "" })).stderr, /Expected homepage in/);
  });
});
