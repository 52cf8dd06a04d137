// Run as a program of its own in another runtime than the tests: restores the session of the snapshot in the named
// file over the embedded model or another, and prints the ids and texts with which it goes on.
// Arguments: the snapshot, precision, KV type, threads, the other model.
import { readFileSync } from "node:fs";
import { type KvType, Llama, type Precision } from "../../src/mod.ts";
import { embeddedModel } from "./models.ts";

type Arguments = [string, Precision, KvType, string, string | undefined];

const [file, precision, kv, threads, model] = process.argv.slice(2) as Arguments;
const options = { precision, kv, tune: { threads: Number(threads) }, contextLength: 128 };
await using llama = await Llama.load(model ?? embeddedModel, options);
using session = llama.restore(new Uint8Array(readFileSync(file)));
const pieces: [number, string][] = [];
for await (const { id, text } of session.resume()) pieces.push([id, text]);
console.log(JSON.stringify(pieces));
