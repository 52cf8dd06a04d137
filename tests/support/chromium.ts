// Drives a headless Chromium, where there is one.
import { existsSync } from "node:fs";
import process from "node:process";
import { it } from "node:test";
import { fileURLToPath } from "node:url";
import { build, stop } from "esbuild";
import { type Browser, chromium, type Page } from "playwright-core";
import { type FileServer, type ServedFile, startFileServer } from "../../examples/browser/serve.ts";
import { itUnless } from "./skip.ts";

/** Where Debian puts Chromium; CHROMIUM names another. */
const chromiumPath = process.env.CHROMIUM ?? "/usr/bin/chromium";

const FLAGS = [
  // Root has no sandbox.
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** What no action in a page may take. */
const LIMIT_MS = 60_000;

/**
 * A test that needs Chromium; skipped, with the reason printed, where there is none. In continuous integration,
 * which installs it, its absence is a failure.
 */
export function itChromium(title: string, body: () => Promise<void>): void {
  const missing = !existsSync(chromiumPath);
  const reason = `${chromiumPath} is absent; scripts/install_chromium.sh installs it, CHROMIUM names another`;
  if (missing && process.env.CI === "true") {
    it(title, () => {
      throw new Error(reason);
    });
    return;
  }
  itUnless(missing && reason, title, body);
}

/** What a test in a page is given. */
export interface PageTest {
  readonly page: Page;
  /** Origin of the server, without a slash at the end. */
  readonly origin: string;
  /** What the page wrote to its console as a warning or error, or threw, so far. */
  readonly complaints: readonly string[];
  /** URLs that the page and its workers asked for so far. */
  readonly requests: readonly string[];
}

/** How the page is served. */
export interface PageOptions {
  /** Whether the page is isolated from other origins, as shared memory asks for. */
  readonly isolated: boolean;
  /** Files that exist for this test only, by path: "/page.js". */
  readonly files: Readonly<Record<string, ServedFile>>;
  readonly viewport?: { readonly width: number; readonly height: number };
  readonly colorScheme?: "light" | "dark";
  /** A phone: fingers in place of a mouse. */
  readonly phone?: boolean;
}

/** Opens an empty page of a new browser while `body` runs; browser and server end with it. */
export async function inPage<T>(options: PageOptions, body: (test: PageTest) => Promise<T>): Promise<T> {
  const {
    isolated,
    files,
    viewport = { width: 1000, height: 900 },
    colorScheme = "light",
    phone = false,
  } = options;
  let server: FileServer | undefined;
  let browser: Browser | undefined;
  try {
    server = await startFileServer({ port: 0, isolated, files });
    browser = await chromium.launch({
      executablePath: chromiumPath,
      headless: true,
      args: FLAGS,
      timeout: LIMIT_MS,
    });
    const page = await browser.newPage({ viewport, colorScheme, hasTouch: phone, isMobile: phone });
    page.setDefaultTimeout(LIMIT_MS);
    const complaints: string[] = [];
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) complaints.push(message.text());
    });
    page.on("pageerror", (error) => complaints.push(error.message));
    const requests: string[] = [];
    page.context().on("request", (request) => requests.push(request.url()));
    return await body({ page, origin: server.origin, complaints, requests });
  } finally {
    await browser?.close();
    await server?.close();
  }
}

/** One script of a module of this repository and all it imports, for browsers. */
export async function bundleForBrowser(path: string): Promise<string> {
  try {
    const { outputFiles } = await build({
      entryPoints: [fileURLToPath(new URL(`../../${path}`, import.meta.url))],
      bundle: true,
      write: false,
      format: "esm",
      target: "es2022",
      platform: "browser",
      logLevel: "warning",
      plugins: [withoutNode],
    });
    return outputFiles[0]?.text ?? "";
  } finally {
    // Its process would outlive the tests.
    await stop();
  }
}

// Test support that a page shares has imports of Node that the page does not use: they are left out.
const withoutNode = {
  name: "without-node",
  setup(bundle: import("esbuild").PluginBuild) {
    bundle.onResolve({ filter: /^node:/ }, ({ path }) => ({ path, external: true, sideEffects: false }));
  },
};
