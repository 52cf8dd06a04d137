// cria/ai-sdk with a real model: the one that the package brings.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { generateText, type ModelMessage, streamText } from "ai";
import { Llama } from "cria";
import { cria } from "cria/ai-sdk";
import { LocalModel } from "cria/server";

describe("cria() with tales-chat", () => {
  it("holds a conversation, and answers as the model's own chat does", async () => {
    await using llama = await Llama.load("cria:tales-chat", { threads: 1 });
    const chat = llama.chat();
    const messages: ModelMessage[] = [];
    for (const content of ["Hello!", "Yes, about a cat."]) {
      const own = await chat.ask(content, { temperature: 0, maxTokens: 30 });
      messages.push({ role: "user", content });
      const model = cria(llama);
      const result = streamText({ model, messages, temperature: 0, maxOutputTokens: 30 });
      assert.equal((await Array.fromAsync(result.textStream)).join(""), own.text);
      assert.equal(await result.finishReason, own.finishReason === "length" ? "length" : "stop");
      messages.push(...(await result.response).messages);
    }
    chat.dispose();
  });

  it("stops at a text, draws by the seed, and is asked behind a queue alike", async () => {
    const llama = await Llama.load("cria:tales-chat", { threads: 1 });
    const served = new LocalModel(llama, { id: "tales-chat" });
    const ask = (model: ReturnType<typeof cria>, stop: string[]) =>
      generateText({
        model,
        prompt: "Tell me about a dog.",
        seed: 3,
        maxOutputTokens: 40,
        stopSequences: stop,
      });
    const { text, usage } = await ask(cria(llama), []);
    assert.equal((await ask(cria(served), [])).text, text);
    const word = text.split(" ")[4] as string;
    const stopped = await ask(cria(llama), [word]);
    assert.equal(stopped.text, text.slice(0, text.indexOf(word)));
    assert.equal(stopped.finishReason, "stop");
    assert.ok((usage.outputTokens ?? 0) > (stopped.usage.outputTokens ?? 99));
    await served.close();
  });
});
