// Refuses to publish a package that does not say where it comes from; npm runs it before it publishes, and
// `node scripts/publish_check.mjs [PACKAGE_JSON]` tells the same beforehand.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const path = process.argv[2] ?? fileURLToPath(new URL("../package.json", import.meta.url));
const { repository, homepage, bugs } = JSON.parse(readFileSync(path, "utf8"));

// The project's public address stands here and nowhere else: npm makes links of the README's relative ones out of it.
const addresses = {
  "repository.url": repository?.url ?? repository,
  homepage,
  "bugs.url": bugs?.url ?? bugs,
};
const missing = Object.keys(addresses).filter((name) => !/^(git\+)?https:\/\/./.test(addresses[name] ?? ""));
if (missing.length > 0) {
  console.error(
    `Cannot publish: Expected ${missing.join(", ")} in package.json, got none. They are the project's public address; set them once it has one.`,
  );
  process.exitCode = 1;
}
