// Fails if package.json lacks the project's public address. npm runs it before it publishes; to run it earlier, use
// `node scripts/publish_check.mjs [PACKAGE_JSON]`.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const path = process.argv[2] ?? fileURLToPath(new URL("../package.json", import.meta.url));
const { repository, homepage, bugs } = JSON.parse(readFileSync(path, "utf8"));

// package.json is the only place of the public address. npm uses it to resolve relative links of the README.
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
