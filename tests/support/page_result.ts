// A built page in Chromium, without a library in between: what it posts to /result.
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { temporaryFolder } from "./package.ts";

/** Where tests/support/chromium.ts looks, too. */
const chromium = process.env.CHROMIUM ?? "/usr/bin/chromium";

/** Serves a folder with a policy, and gives what its page posts to /result. */
export async function pageResult(folder: string, headers: Record<string, string>): Promise<string> {
  let done: (text: string) => void = () => {};
  const result = new Promise<string>((resolve, reject) => {
    done = resolve;
    setTimeout(() => reject(new Error("the page posted nothing within 50 s")), 50_000).unref();
  });
  const types: Record<string, string> = { html: "text/html", js: "text/javascript" };
  const server = createServer((request, response) => {
    const path = (request.url as string).split("?")[0] as string;
    if (path === "/result") {
      let body = "";
      request.on("data", (chunk) => (body += chunk));
      request.on("end", () => done(body));
      response.end();
      return;
    }
    const file = join(folder, path === "/" ? "index.html" : path);
    if (!existsSync(file)) {
      response.writeHead(404).end();
      return;
    }
    const type = types[file.split(".").at(-1) as string] ?? "application/octet-stream";
    response.writeHead(200, { "Content-Type": type, ...headers });
    response.end(readFileSync(file));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  let browser: ChildProcess | undefined;
  try {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const profile = join(temporaryProfile, String(Math.trunc(performance.now())));
    browser = spawn(
      chromium,
      ["--headless=new", "--no-sandbox", "--disable-gpu", `--user-data-dir=${profile}`, url],
      { stdio: "ignore" },
    );
    return await result;
  } finally {
    await ended(browser);
    server.closeAllConnections();
    server.close();
  }
}

const temporaryProfile = temporaryFolder();

function ended(browser: ChildProcess | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (!browser || browser.exitCode !== null) return resolve();
    browser.on("exit", () => resolve());
    browser.kill();
  });
}
