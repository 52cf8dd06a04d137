// openModel(): one call for files, parts, folders and repositories.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type ModelSource, openModel } from "../../src/format/open_model.ts";
import { Llama, SourceError, UsageError } from "../../src/mod.ts";
import { detectRuntime } from "../../src/runtime/detect.ts";
import { FileShelf } from "../../src/source/file_shelf.ts";
import type { SourceHost } from "../../src/source/host.ts";
import { partName, tinyParts } from "../support/gguf_parts.ts";
import { tinyLlamaGguf } from "../support/gguf_writer.ts";
import { type HubFiles, type HubRequest, withHub } from "../support/hub.ts";
import { refused } from "../support/refused.ts";
import { tinyFolder } from "../support/safetensors_writer.ts";

const runtime = detectRuntime();

/** What is read of a model: format, places of tensors, pieces of the vocabulary. */
async function facts(source: ModelSource, host: SourceHost = runtime) {
  const opened = await openModel(source, host, { cache: false, http: { retries: 0 } });
  try {
    const { format, tensors, tokenizer } = await opened.read();
    for (const { source, offset, byteLength } of tensors.values()) {
      const bytes = new Uint8Array(byteLength);
      await source.read(offset, bytes);
      assert.ok(bytes.some((byte) => byte !== 0));
    }
    await opened.finish();
    return { format, tensors: tensors.size, tokens: tokenizer()?.types.length };
  } finally {
    await opened.close();
    await opened.close();
  }
}

describe("openModel() of a repository", () => {
  const whole = tinyLlamaGguf({ nLayers: 1 }).bytes;
  const parts = tinyParts(2, { nLayers: 1 });
  const gguf = { format: "gguf", tensors: 12, tokens: 300 };

  function withFiles(
    files: HubFiles,
    body: (host: SourceHost, requests: readonly HubRequest[]) => Promise<void>,
    token?: string,
  ): Promise<void> {
    const repositories = { "owner/repo@main": files, "owner/repo@v2": { "v2.gguf": whole } };
    return withHub({ repositories, ...(token && { token }) }, (endpoint, requests) => {
      const variables: Record<string, string | undefined> = { HF_ENDPOINT: endpoint, HF_TOKEN: token };
      return body({ ...runtime, variable: (name) => variables[name] }, requests);
    });
  }

  it("takes the file that a tag names, all parts of it, and a file by its name", async () => {
    const files = {
      "tiny-Q8_0.gguf": whole,
      ...Object.fromEntries(
        [...parts].map(([name, bytes]) => [name.replace("model", "sub/tiny-Q4_K_M"), bytes]),
      ),
    };
    await withFiles(files, async (host) => {
      for (const name of [
        "hf:owner/repo:Q8_0",
        "hf:owner/repo:Q4_K_M",
        "hf:owner/repo",
        "hf:owner/repo@v2",
        "hf:owner/repo/tiny-Q8_0.gguf",
        `hf:owner/repo/${partName(2, 2, "sub/tiny-Q4_K_M")}`,
      ]) {
        assert.deepEqual(await facts(name, host), gguf, name);
      }
      await refused(
        facts("hf:owner/repo:Q6_K", host),
        /Expected one of .*Q8_0.*, got no such type/,
        UsageError,
      );
    });
  });

  it("takes a folder of safetensors, with the token for each of its files", async () => {
    const files = Object.fromEntries(tinyFolder({ nLayers: 1, shards: 2 }));
    const inFolder = Object.fromEntries(Object.entries(files).map(([name, bytes]) => [`sub/${name}`, bytes]));
    const expected = { format: "safetensors", tensors: 12, tokens: 800 };
    await withFiles(
      { ...files, ...inFolder },
      async (host, requests) => {
        for (const name of [
          "hf:owner/repo",
          "hf:owner/repo/",
          "hf:owner/repo/sub/",
          "hf:owner/repo/config.json",
        ]) {
          assert.deepEqual(await facts(name, host), expected, name);
        }
        assert.ok(
          requests.every(({ server, authorization }) => (server === "hub") === (authorization !== undefined)),
        );
      },
      "secret",
    );
  });
});

describe("openModel() of gathered files", () => {
  it("reads each, and closes all", async () => {
    const closed: string[] = [];
    const files = new Map(
      [...tinyFolder({ nLayers: 1, shards: 2 })].map(([name, bytes]) => {
        const source = {
          ...{ name, size: bytes.length },
          read: async (offset: number, target: Uint8Array) =>
            target.set(bytes.subarray(offset, offset + target.length)),
          close: async () => void closed.push(name),
        };
        return [name, source] as const;
      }),
    );
    assert.deepEqual(await facts(files), { format: "safetensors", tensors: 12, tokens: 800 });
    assert.deepEqual(new Set(closed), new Set(files.keys()));
  });

  it("closes what it has opened if a file is damaged", async () => {
    const closed: string[] = [];
    const source = (name: string, bytes: Uint8Array) => ({
      ...{ name, size: bytes.length },
      read: async (offset: number, target: Uint8Array) =>
        target.set(bytes.subarray(offset, offset + target.length)),
      close: async () => void closed.push(name),
    });
    const files = new Map([...tinyParts(3)].map(([name, bytes]) => [name, source(name, bytes)] as const));
    files.set(partName(3, 3), source("third", new TextEncoder().encode("no GGUF file, but long enough")));
    await refused(Llama.load(files), /^Cannot read model-00003-of-00003\.gguf: Expected a GGUF file/);
    assert.deepEqual(closed.sort(), [partName(1, 3), partName(2, 3), "third"].sort());
  });
});

describe("FileShelf", () => {
  it("says that a file changed between two readings", async () => {
    let size = 8;
    const set = {
      name: "set/",
      open: async (name: string) => ({
        ...{ name: `set/${name}`, size },
        read: async () => {},
        close: async () => {},
      }),
    };
    const shelf = new FileShelf(set);
    const first = await shelf.open("a");
    await shelf.open("b");
    size = 9;
    await refused(
      first?.read(0, new Uint8Array(1)) as Promise<void>,
      /^Cannot read set\/a: It changed while it was read: Expected 8 bytes, got 9 bytes$/,
      SourceError,
    );
  });
});
