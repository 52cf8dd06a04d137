// The models that come with cria, by their names.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { Llama, Tokenizer } from "../../src/mod.ts";
import { embeddedNames } from "../../src/package.ts";
import { chatModel } from "../support/models.ts";
import { itShared, sharedBytes } from "../support/shared.ts";

describe("models that come with cria", () => {
  it("Llama.load() takes each by its name, and continues with cria:tales if none is named", async () => {
    const texts = new Map<string | undefined, string>();
    for (const name of [...embeddedNames, undefined]) {
      await using llama = await Llama.load(name, { threads: 1, contextLength: 64 });
      const { text } = await llama.complete("Once upon a time", { maxTokens: 24, temperature: 0 });
      texts.set(name, text);
    }
    assert.deepEqual(embeddedNames, ["cria:tales", "cria:tales-chat"]);
    assert.equal(texts.get(undefined), texts.get("cria:tales"));
    assert.notEqual(texts.get(undefined), texts.get("cria:tales-chat"));
  });

  it("Tokenizer.load() takes them too, and a URL", async () => {
    const tokenizer = await Tokenizer.load(new URL("cria:tales-chat"));
    assert.deepEqual(tokenizer.encode("Hello!", { bos: false }), [361, 3933, 4044]);
  });

  it("are no other names", async () => {
    const message = 'Cannot open "cria:gpt": Expected cria:tales or cria:tales-chat';
    await assert.rejects(Llama.load("cria:gpt"), { name: "UsageError", message });
  });

  const shared = "models/tales-chat/tales-chat-q8_0.gguf";
  itShared([shared], "are the files that were trained", () => {
    assert.ok(readFileSync(chatModel).equals(sharedBytes(shared)));
  });
});
