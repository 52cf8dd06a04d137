// What consoles, strings and JSON show of the library's objects.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import { Llama, type Piece, Tokenizer } from "../../src/mod.ts";
import { embeddedModel } from "../support/models.ts";

const oneLine = (value: unknown) => {
  const text = inspect(value);
  assert.doesNotMatch(text, /\n/);
  assert.equal(`${value}`, text);
  return text;
};

describe("console.log()", () => {
  it("of a model, a session and a tokenizer is one line", async () => {
    const llama = await Llama.load(embeddedModel, { threads: 1, contextLength: 64 });
    const { dim, nLayers, vocabSize } = llama.config;
    const facts = `architecture: "llama", dim: ${dim}, nLayers: ${nLayers}, vocabSize: ${vocabSize}, contextLength: 64`;
    assert.equal(oneLine(llama), `Llama { ${facts}, kernel: ${JSON.stringify(llama.kernel)}, threads: 1 }`);
    const session = llama.session();
    await session.append("Once upon");
    assert.equal(oneLine(session), "Session { pos: 3, contextLength: 64 }");
    for await (const _ of session.generate("")) break;
    assert.equal(oneLine(session), "Session { pos: 4, contextLength: 64, resumable: true }");
    session.dispose();
    assert.equal(oneLine(session), "Session { pos: 4, contextLength: 64, disposed: true }");
    assert.equal(oneLine(llama.tokenizer), `Tokenizer { kind: "spm-bpe", vocabSize: ${vocabSize} }`);
    assert.equal(oneLine(await Tokenizer.load(embeddedModel)), oneLine(llama.tokenizer));
    assert.match(
      inspect({ llama, list: [session] }),
      /llama: Llama \{ architecture.*\n?.*list: \[\s*Session \{ pos/s,
    );
    llama.dispose();
    assert.match(oneLine(llama), /^Llama \{ .*, failed: true \}$/);
  });

  it("of them names their classes, which minifiers change", async () => {
    await using llama = await Llama.load(embeddedModel, { threads: 1 });
    const tag = (value: unknown) => Object.prototype.toString.call(value);
    assert.equal(tag(llama), "[object Llama]");
    assert.equal(tag(llama.session()), "[object Session]");
    assert.equal(tag(llama.tokenizer), "[object Tokenizer]");
  });

  it("has nothing of weights and vocabularies in JSON either", async () => {
    await using llama = await Llama.load(embeddedModel, { threads: 1 });
    const json = JSON.stringify({ llama, tokenizer: llama.tokenizer, session: llama.session() });
    assert.ok(json.length < 500, `${json.length} characters`);
    assert.equal(JSON.parse(json).llama.vocabSize, llama.config.vocabSize);
  });
});

describe("Piece", () => {
  it("is its text as a string, and its fields everywhere else", async () => {
    await using llama = await Llama.load(embeddedModel, { threads: 1 });
    const options = { temperature: 0, maxTokens: 9, logprobs: 2 };
    let added = "";
    const pieces: Piece[] = [];
    for await (const piece of llama.generate("Once upon a time", options)) {
      added += piece;
      pieces.push(piece);
    }
    const { text } = await llama.complete("Once upon a time", options);
    assert.equal(added, text);
    assert.equal(pieces.join(""), text);
    const [piece] = pieces as [Piece];
    const { id, logprob, alternatives } = piece;
    assert.equal(String(piece), piece.text);
    assert.equal(`${piece}`, piece.text);
    assert.deepEqual({ ...piece }, { id, text: piece.text, logprob, alternatives });
    assert.deepEqual(Object.keys(piece), ["id", "text", "logprob", "alternatives"]);
    assert.equal(JSON.stringify(piece), JSON.stringify({ id, text: piece.text, logprob, alternatives }));
    assert.deepEqual(structuredClone(piece), { id, text: piece.text, logprob, alternatives });
    assert.equal(Object.hasOwn(piece, "toString"), false);
  });
});
