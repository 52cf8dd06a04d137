// Models in several GGUF files: any part loads them all, and parts that do not belong together are refused.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { FormatError, Llama, SourceError, UnsupportedError, UsageError } from "../../../src/mod.ts";
import { type PartChange, partName, tinyParts } from "../../support/gguf_parts.ts";
import { type GgufValue, meta, type TinyLlamaOptions, tinyLlamaGguf } from "../../support/gguf_writer.ts";
import { refused } from "../../support/refused.ts";
import { fileReply, hostile, type RawReply, type RawRequest } from "../../support/server.ts";

type Files = ReadonlyMap<string, Uint8Array<ArrayBuffer>>;

const folder = mkdtempSync(join(tmpdir(), "cria-parts-"));
after(() => rmSync(folder, { recursive: true, force: true }));
let folders = 0;

/** Writes files into a folder of their own. */
function written(files: Files): (name: string) => string {
  const path = join(folder, `${folders++}`);
  mkdirSync(path);
  for (const [name, bytes] of files) writeFileSync(join(path, name), bytes);
  return (name) => join(path, name);
}

const options: TinyLlamaOptions = { nLayers: 2, type: "Q8_0" };
const whole = tinyLlamaGguf(options).bytes;
const ids = [1, 5, 9, 200, 3];

async function logitsOf(source: Parameters<typeof Llama.load>[0]): Promise<Float32Array> {
  await using llama = await Llama.load(source, { threads: 1 });
  return await llama.logits(ids);
}

/** Serves files below /set/. */
function serving(
  files: Files,
  body: (base: URL, requests: readonly RawRequest[]) => Promise<void>,
  reply: (bytes: Uint8Array, request: RawRequest) => RawReply = fileReply,
): Promise<void> {
  const answer = (request: RawRequest) => {
    const bytes = files.get(decodeURIComponent(request.path.replace(/^\/set\/|\?.*$/g, "")));
    return bytes ? reply(bytes, request) : { status: 404 };
  };
  return hostile(answer, (url, requests) => body(new URL("/set/", url), requests));
}

describe("a model in several GGUF files", () => {
  it("Llama.load() loads it from any part, with the bits of the whole", async () => {
    const expected = await logitsOf(whole);
    for (const n of [2, 3]) {
      const path = written(tinyParts(n, options));
      for (let i = 1; i <= n; i++) assert.deepEqual(await logitsOf(path(partName(i, n))), expected);
    }
  });

  it("Llama.load() takes parts that hold no tensors, or all of them", async () => {
    const expected = await logitsOf(whole);
    for (const owner of [1, 2]) {
      // Splitters write a first part of metadata alone on request.
      const tensors = (i: number): PartChange => ({ tensors: (_, all) => (i === owner ? all : []) });
      const path = written(tinyParts(2, options, { 1: tensors(1), 2: tensors(2) }));
      assert.deepEqual(await logitsOf(path(partName(2, 2))), expected);
    }
    assert.deepEqual(await logitsOf(written(tinyParts(1, options))(partName(1, 1))), expected);
  });

  it("Llama.load() finds the parts of a URL, one connection at a time", async () => {
    const expected = await logitsOf(whole);
    const files = tinyParts(3, options);
    await serving(files, async (base, requests) => {
      assert.deepEqual(await logitsOf(new URL(`${partName(2, 3)}?download=true`, base)), expected);
      const asked = requests.map(({ path }) => /-0000(\d)-/.exec(path)?.[1]);
      assert.ok(requests.every(({ path }) => path.endsWith("?download=true")));
      assert.deepEqual(new Set(asked), new Set(["1", "2", "3"]));
    });
    // A server that gives neither ranges nor versions.
    const plain = (bytes: Uint8Array): RawReply => ({ body: bytes });
    await serving(
      files,
      async (base) => assert.deepEqual(await logitsOf(new URL(partName(1, 3), base).href), expected),
      plain,
    );
  });

  it("Llama.load() reports the progress of all parts together", async () => {
    const files = tinyParts(3, options);
    const total = [...files.values()].reduce((sum, { length }) => sum + length, 0);
    await serving(files, async (base) => {
      const reports: (number | undefined)[] = [];
      await using llama = await Llama.load(new URL(partName(3, 3), base), {
        threads: 1,
        onProgress: ({ fraction, download }) => {
          reports.push(fraction);
          if (download) assert.ok(download.receivedBytes <= total);
        },
      });
      assert.ok(llama.memoryBytes > 0);
      assert.equal(reports.at(-1), 1);
    });
  });

  it("Llama.load() takes all parts by their names: bytes, Blobs, streams", async () => {
    const expected = await logitsOf(whole);
    const files = tinyParts(3, options);
    const kinds: ((bytes: Uint8Array<ArrayBuffer>) => Uint8Array | Blob | ReadableStream<Uint8Array>)[] = [
      (bytes) => bytes,
      (bytes) => new Blob([bytes]),
      (bytes) => new Blob([bytes]).stream(),
    ];
    for (const kind of kinds) {
      const map = new Map([...files].reverse().map(([name, bytes]) => [name, kind(bytes)]));
      assert.deepEqual(await logitsOf(map), expected);
    }
    assert.deepEqual(await logitsOf(Object.fromEntries(files)), expected);
    assert.deepEqual(await logitsOf({ "tiny.gguf": whole }), expected);
  });

  it("Llama.load() refuses names that say nothing of one model", async () => {
    const [first] = tinyParts(2, options).values() as Iterable<Uint8Array>;
    await refused(
      Llama.load({ "a.gguf": whole, "b.gguf": whole }),
      /^Cannot load files: Expected one model among them, got a\.gguf, b\.gguf$/,
      UsageError,
    );
    await refused(
      Llama.load({ [partName(1, 2)]: first as Uint8Array }),
      /^Cannot load model-00001-of-00002\.gguf: Expected all 2 files of the model in files, got no model-00002-of-00002\.gguf$/,
      SourceError,
    );
  });

  it("Llama.load() says what to do with one part alone", async () => {
    const [first] = tinyParts(2, options).values() as Iterable<Uint8Array<ArrayBuffer>>;
    for (const source of [first, new Blob([first as never]), new Blob([first as never]).stream()]) {
      await refused(
        Llama.load(source as Uint8Array),
        /got file 1 of 2\. All 2 files must be loaded together: pass the path or URL of one/,
        UnsupportedError,
      );
    }
  });

  it("Llama.load() refuses a SHA-256, which one file alone can have", async () => {
    const files = tinyParts(2, options);
    await refused(
      Llama.load(files as never, { sha256: "0".repeat(64) }),
      /^Cannot load files with sha256: Expected a model in one file, got several$/,
      UsageError,
    );
  });
});

describe("parts that do not belong together", () => {
  const split = (no: number, count: number): Record<string, GgufValue> => ({
    "split.no": meta("u16", no),
    "split.count": meta("u16", count),
  });
  const changed = (changes: Record<number, PartChange>) => tinyParts(3, options, changes);

  /** @param given the part whose path is passed */
  async function isRefused(
    files: Files,
    message: RegExp,
    given = partName(1, 3),
    type: typeof FormatError | typeof SourceError = FormatError,
  ): Promise<void> {
    await refused(Llama.load(written(files)(given)), message, type);
    await refused(Llama.load(files as never), message, type);
  }

  it("are refused when one is missing", async () => {
    for (const i of [1, 2, 3]) {
      const files = tinyParts(3, options);
      files.delete(partName(i, 3));
      const given = partName(i === 1 ? 2 : 1, 3);
      await isRefused(
        files,
        new RegExp(`Expected all 3 files .*, got no ${partName(i, 3)}$`),
        given,
        SourceError,
      );
    }
  });

  it("are refused when one is doubled, or they are in another order", async () => {
    const doubled = tinyParts(3, options);
    doubled.set(partName(2, 3), doubled.get(partName(1, 3)) as Uint8Array<ArrayBuffer>);
    await isRefused(
      doubled,
      /model-00002-of-00003\.gguf: Expected part 2 of 3 \(split\.no 1\), as .*model-00001-of-00003\.gguf says, got split\.no 0$/,
    );
    const files = tinyParts(3, options);
    const swapped = new Map(files)
      .set(partName(2, 3), files.get(partName(3, 3)) as Uint8Array<ArrayBuffer>)
      .set(partName(3, 3), files.get(partName(2, 3)) as Uint8Array<ArrayBuffer>);
    await isRefused(swapped, /Expected part 2 of 3 .* got split\.no 2$/);
  });

  it("are refused when one is of another model", async () => {
    const name = (text: string) => ({ "general.architecture": meta("string", text) });
    await isRefused(
      changed({ 3: { metadata: name("qwen2") } }),
      /00003-of-00003\.gguf: Expected a part of the same model, "llama", as .* says, got "qwen2"$/,
    );
    await isRefused(changed({ 2: { metadata: split(1, 4) } }), /Expected split\.count 3, .* got 4$/);
    await isRefused(
      changed({ 2: { metadata: { "split.tensors.count": meta("i32", 4) } } }),
      /Expected split\.tensors\.count 21, .* got 4$/,
    );
    await isRefused(changed({ 2: { metadata: { "split.no": undefined } } }), /got split\.no none$/);
    await isRefused(changed({ 2: { metadata: { "split.no": meta("string", "1") } } }), /got split\.no NaN$/);
    // The same layers under the numbers of these.
    const other = tinyParts(
      3,
      { ...options, nLayers: 1 },
      { 2: { metadata: { "split.tensors.count": meta("i32", 21) } } },
    );
    const foreign = tinyParts(3, options).set(
      partName(2, 3),
      other.get(partName(2, 3)) as Uint8Array<ArrayBuffer>,
    );
    await isRefused(
      foreign,
      /00002-of-00003\.gguf: Expected each tensor once, got "blk\.0\.\w+\.weight", which .*00001-of-00003\.gguf has too$/,
    );
  });

  it("are refused when tensors are too few or too many", async () => {
    await isRefused(
      changed({ 2: { tensors: (own) => own.slice(1) } }),
      /Expected 21 tensors in all 3 files \(split\.tensors\.count\), got 20$/,
    );
    const lie = { metadata: { "split.tensors.count": meta("i32", 2 ** 31 - 1) } };
    await isRefused(changed({ 1: lie, 2: lie, 3: lie }), /Expected 2147483647 tensors .*, got 21$/);
  });

  it("are refused when one is damaged, with its name", async () => {
    const whole = tinyParts(3, options);
    const bytes = whole.get(partName(2, 3)) as Uint8Array<ArrayBuffer>;
    const with2 = (other: Uint8Array<ArrayBuffer>) => new Map(whole).set(partName(2, 3), other);
    await isRefused(
      with2(bytes.slice(0, bytes.length - 64)),
      /00002-of-00003\.gguf: Tensor .* the file ends at/,
    );
    await isRefused(with2(bytes.slice(0, 40)), /00002-of-00003\.gguf: Expected .* bytes at offset/);
    await isRefused(with2(new Uint8Array(0)), /00002-of-00003\.gguf: /);
    await isRefused(
      with2(new TextEncoder().encode("<html>".repeat(20))),
      /00002-of-00003\.gguf: Expected a GGUF/,
    );
  });

  it("are refused when a name and split.count do not agree", async () => {
    const [bytes] = tinyParts(3, options).values() as Iterable<Uint8Array<ArrayBuffer>>;
    for (const name of ["model.gguf", partName(1, 2), "model-1-of-3.gguf"]) {
      await refused(
        Llama.load(written(new Map([[name, bytes as Uint8Array<ArrayBuffer>]]))(name)),
        /Expected a name that ends in -00001-of-00003\.gguf or the like, since split\.count is 3/,
        FormatError,
      );
    }
    const huge = tinyParts(1, options, { 1: { metadata: split(0, 65535) } });
    await refused(Llama.load(written(huge)(partName(1, 1))), /-00001-of-65535\.gguf/, FormatError);
  });
});
