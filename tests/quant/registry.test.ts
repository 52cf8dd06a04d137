// The tables of weight formats and tensor types: what derives from them, and that both sides agree.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";
import * as blocks from "../../assembly/layout/blocks.ts";
import * as codes from "../../assembly/layout/file_types.gen.ts";
import { supportedTensorTypes } from "../../src/format/gguf/tensor_types.ts";
import { fileTypes, tensorTypes } from "../../src/quant/file_types.ts";
import { kvTypeCodes } from "../../src/quant/kv_types.ts";
import { type FormatName, naturalFormat, precisions, weightFormats } from "../../src/quant/registry.ts";

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");

describe("tensorTypes", () => {
  it("have a code and a name each", () => {
    assert.equal(new Set(tensorTypes.map(({ code }) => code)).size, tensorTypes.length);
    assert.equal(new Set(tensorTypes.map(({ name }) => name)).size, tensorTypes.length);
  });

  it("that are loaded become a weight format that exists", () => {
    for (const { name, memory } of fileTypes.values()) {
      assert.equal(naturalFormat(name), memory, name);
      assert.ok(memory in weightFormats, name);
    }
  });

  it("that are loaded have a decoder, and the kernels know the same codes and sizes", () => {
    const known: Readonly<Record<string, number>> = codes;
    const decoders = readdirSync(new URL("../../assembly/types", import.meta.url), { recursive: true }).map(
      (path) => String(path).replace(/^.*[\\/]/, ""),
    );
    for (const { name, code, blockCols, blockBytes } of fileTypes.values()) {
      assert.ok(decoders.includes(`${name.toLowerCase()}.ts`), name);
      assert.equal(known[`FILE_${name}`], code);
      assert.equal(known[`FILE_${name}_VALUES`], blockCols);
      assert.equal(known[`FILE_${name}_BYTES`], blockBytes);
    }
    assert.equal(Object.keys(known).length, 3 * fileTypes.size);
  });

  it("of other kinds of files are not said to be supported in GGUF", () => {
    assert.deepEqual(
      [...supportedTensorTypes, "Q8_G"].sort(),
      [...fileTypes.keys()].sort((a, b) => (a < b ? -1 : 1)),
    );
  });
});

describe("weightFormats", () => {
  it("are named as their keys, each with a code of its own", () => {
    for (const [name, format] of Object.entries(weightFormats)) assert.equal(format.name, name);
    const formats = Object.values(weightFormats);
    assert.equal(new Set(formats.map(({ code }) => code)).size, formats.length);
  });

  it("are all formats that kernels have, with every book", () => {
    const constants = (prefix: string) =>
      Object.entries(blocks)
        .filter(([name]) => name.startsWith(prefix) && name !== "WEIGHT_BOOK")
        .map(([name, code]) => [name.slice(prefix.length).toLowerCase(), code] as const);
    const kernels = new Map(constants("WEIGHT_").map(([name, code]) => [code, name]));
    const withBooks = new Set(["x4k", "x3k"]);
    const usedKernels = new Set<string>();
    const usedBooks = new Set<number>();
    for (const { name, code } of Object.values(weightFormats)) {
      const kernel = kernels.get(code % blocks.WEIGHT_BOOK);
      assert.ok(kernel !== undefined, `${name}: ${code}`);
      usedKernels.add(kernel);
      if (withBooks.has(kernel)) usedBooks.add(Math.floor(code / blocks.WEIGHT_BOOK));
      else assert.deepEqual([kernel, code], [name, code % blocks.WEIGHT_BOOK]);
    }
    assert.deepEqual([...usedKernels].sort(), [...kernels.values()].sort());
    assert.deepEqual(
      [...usedBooks].sort(),
      constants("BOOK_")
        .map(([, book]) => book)
        .sort(),
    );
  });

  it("are what options name, and what some type of files becomes by itself", () => {
    const natural = new Set([...fileTypes.keys()].map(naturalFormat));
    for (const name of Object.keys(weightFormats) as FormatName[]) {
      assert.ok(precisions.some((precision) => precision === name) || natural.has(name), name);
    }
    for (const precision of precisions) assert.ok(precision in weightFormats, precision);
  });

  it("that only files of a type become take at most a tenth more memory than the file, or 4.5 bits if it has fewer than 4", () => {
    for (const { name, blockCols, blockBytes } of fileTypes.values()) {
      const format = weightFormats[naturalFormat(name)];
      if (precisions.some((precision) => precision === format.name)) continue;
      const inMemory = format.tileBytes / (blocks.TILE_ROWS * blocks.BLOCK_COLS);
      const inFile = blockBytes / blockCols;
      assert.ok(inMemory <= (inFile < 4 / 8 ? 4.5 / 8 : 1.1 * inFile), `${name} as ${format.name}`);
      assert.ok(format.scaled, format.name);
    }
  });

  it("take the bits a weight that docs/adr/0012-superblocks.md says", () => {
    const bits = (name: FormatName) =>
      (8 * weightFormats[name].tileBytes) / (blocks.TILE_ROWS * blocks.BLOCK_COLS);
    const of4 = ["iq4xs", "iq3s", "iq3xxs", "iq2xxs", "iq1s"] as const;
    assert.deepEqual(of4.map(bits), Array(5).fill(4.3125));
    assert.deepEqual((["q3k", "iq2", "iq1m"] as const).map(bits), Array(3).fill(3.5625));
    assert.deepEqual((["q2k", "q4k", "q5k", "q6k"] as const).map(bits), [3.125, 4.625, 5.625, 6.5625]);
  });

  it("keep a type that cria does not know as the default", () => {
    assert.equal(naturalFormat("none"), "q8");
    assert.equal(naturalFormat("I8"), "q8");
  });
});

describe("lists of names", () => {
  it("are written down once", () => {
    const lists = [precisions, Object.keys(weightFormats), Object.keys(kvTypeCodes)].map((names) =>
      names.map((name) => `"${name}"`).join(", "),
    );
    for (const path of ["src/cli/generate.ts", "src/api/load_options.ts", "src/model/config.ts"]) {
      for (const list of lists)
        assert.ok(!read(path).includes(list), `${path} has a list of its own: ${list}`);
    }
  });
});
