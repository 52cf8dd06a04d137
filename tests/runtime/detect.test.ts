// Which runtime this is, and what each says of itself.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { browserName, browserRuntime } from "../../src/runtime/browser.ts";
import { detectRuntime, runtimeKind } from "../../src/runtime/detect.ts";
import { workerdRuntime } from "../../src/runtime/workerd.ts";

describe("runtimeKind()", () => {
  it("tells runtimes apart by their globals", () => {
    const node = "26.0.0";
    assert.equal(runtimeKind({ process: { versions: { node } } }), "node");
    assert.equal(runtimeKind({ process: { versions: { node, bun: "1.4.5" } } }), "bun");
    assert.equal(runtimeKind({ process: { versions: { node, deno: "2.9.6" } } }), "deno");
    assert.equal(runtimeKind({ navigator: { userAgent: "Mozilla/5.0 Chrome/156.0" } }), "browser");
  });

  it("sees workerd behind its compatibility with Node", () => {
    const navigator = { userAgent: "Cloudflare-Workers" };
    assert.equal(runtimeKind({ navigator }), "workerd");
    assert.equal(runtimeKind({ navigator, process: { versions: { node: "22.0.0" } } }), "workerd");
  });

  it("sees a page behind the process that bundlers give it", () => {
    const process = { versions: { node: "16.0.0" } };
    assert.equal(runtimeKind({ process, document: {} }), "browser");
    assert.equal(runtimeKind({ process: { ...process, getBuiltinModule: () => {} }, document: {} }), "node");
  });

  it("takes whatever else there is for a browser", () => {
    for (const globals of [{}, { process: {} }, { process: { versions: {} } }, { navigator: {} }]) {
      assert.equal(runtimeKind(globals), "browser");
    }
  });
});

describe("detectRuntime()", () => {
  const runtime = detectRuntime();

  it("names the runtime and its version", () => {
    const { bun, deno, node } = process.versions as Record<string, string | undefined>;
    const expected = bun ? `bun ${bun}` : deno ? `deno ${deno}` : `node ${node}`;
    assert.equal(runtime.name, expected);
  });

  it("counts cores", () => {
    assert.ok(Number.isInteger(runtime.cores) && runtime.cores >= 1, String(runtime.cores));
  });

  it("knows the peak of memory, in bytes", () => {
    const before = runtime.peakRssBytes() ?? 0;
    // No JavaScript runtime lives on less than 8 MiB, and no test needs 64 GiB.
    assert.ok(before > 8 << 20 && before < 2 ** 36, `${before} bytes`);
    const block = new Uint8Array(64 << 20).fill(1);
    const after = runtime.peakRssBytes() ?? 0;
    assert.ok(after >= before && after >= block.length, `${before} bytes, then ${after}`);
  });

  it("opens files", async () => {
    const folder = mkdtempSync(join(tmpdir(), "cria-"));
    try {
      writeFileSync(join(folder, "a"), "content");
      const source = await runtime.openFile(join(folder, "a"));
      const target = new Uint8Array(4);
      await source.read(3, target);
      assert.equal(new TextDecoder().decode(target), "tent");
      await source.close();
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe("runtimes without files", () => {
  for (const [runtime, place] of [
    [workerdRuntime(), "workerd"],
    [browserRuntime(), "a browser"],
  ] as const) {
    it(`say so: ${place}`, async () => {
      await assert.rejects(runtime.openFile("model.gguf"), {
        name: "SourceError",
        message:
          `Cannot open model.gguf: there are no files in ${place}, ` +
          "expected an http(s) URL, a Blob, bytes or a stream",
      });
      assert.equal(runtime.peakRssBytes(), undefined);
      assert.ok(runtime.cores >= 1);
    });
  }
});

describe("browserRuntime()", () => {
  it("believes no number of cores that is none", () => {
    const real = Object.getOwnPropertyDescriptor(globalThis, "navigator");
    try {
      for (const [said, cores] of [
        [8, 8],
        [0, 1],
        [-2, 1],
        [Number.NaN, 1],
        [2.5, 1],
        ["4", 1],
        [undefined, 1],
      ] as const) {
        Object.defineProperty(globalThis, "navigator", {
          value: { hardwareConcurrency: said },
          configurable: true,
        });
        assert.equal(browserRuntime().cores, cores, String(said));
      }
    } finally {
      if (real) Object.defineProperty(globalThis, "navigator", real);
      else Reflect.deleteProperty(globalThis, "navigator");
    }
  });
});

describe("browserName()", () => {
  it("reads name and version out of a user agent", () => {
    const chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)";
    assert.equal(browserName(`${chrome} Chrome/156.0.0.0 Safari/537.36`), "chrome 156.0.0.0");
    assert.equal(browserName(`${chrome} Chrome/156.0.0.0 Safari/537.36 Edg/156.0.1.0`), "edge 156.0.1.0");
    assert.equal(browserName("Mozilla/5.0 (X11; rv:150.0) Gecko/20100101 Firefox/150.0"), "firefox 150.0");
    const safari =
      "Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/20.1 Safari/605.1.15";
    assert.equal(browserName(safari), "safari 20.1");
    assert.equal(browserName("something else"), "browser");
    assert.equal(browserName(""), "browser");
  });
});
