// cria/ai-sdk, asked by the `ai` SDK itself.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { LanguageModelV4 } from "@ai-sdk/provider";
import { generateText, jsonSchema, Output, stepCountIs, streamText, tool } from "ai";
import { cria } from "../../src/ai_sdk.ts";
import type { Job, JobEvent, ServedModel } from "../../src/server/model.ts";
import { scriptedLlama } from "./scripted_llama.ts";

// The SDK prints warnings; tests read them.
Object.assign(globalThis, { AI_SDK_LOG_WARNINGS: false });

const forecast = tool({
  description: "The weather",
  inputSchema: jsonSchema<{ city: string }>({ type: "object", properties: { city: { type: "string" } } }),
  execute: async ({ city }: { city: string }) => ({ city, celsius: 4 }),
});
const call = '<tool_call>{"name": "forecast", "arguments": {"city": "Oslo"}}</tool_call>';

describe("cria()", () => {
  it("is a model of the SDK's interface", () => {
    const model: LanguageModelV4 = cria(scriptedLlama({ answers: [] }).llama);
    assert.deepEqual([model.specificationVersion, model.provider, model.modelId], ["v4", "cria", "cria"]);
    assert.throws(
      () => cria(scriptedLlama({ answers: [] }).llama, { name: "x" } as object),
      /Unknown option "name"/,
    );
  });

  it("answers with text, reasoning, usage and the reason of its end", async () => {
    const { llama, asked } = scriptedLlama({ answers: [" <think>hm</think> Hi there"], format: "hermes" });
    const result = await generateText({
      model: cria(llama, { id: "tiny" }),
      instructions: "Be kind.",
      prompt: "Hello",
      temperature: 0.5,
      topP: 0.9,
      topK: 3,
      seed: 7,
      maxOutputTokens: 20,
      stopSequences: ["x"],
      providerOptions: { cria: { minP: 0.1, variables: { date: "today" } } },
    });
    assert.deepEqual([result.text, result.reasoningText], ["Hi there", "hm"]);
    assert.equal(result.finishReason, "stop");
    assert.equal(result.rawFinishReason, "eos");
    assert.equal(result.response.modelId, "tiny");
    assert.deepEqual([result.usage.inputTokens, result.usage.inputTokenDetails.cacheReadTokens], [3, 1]);
    assert.equal(result.usage.outputTokens, 9);
    const [{ messages, options, variables } = assert.fail()] = asked;
    assert.deepEqual(messages, [
      { role: "system", content: "Be kind." },
      { role: "user", content: "Hello" },
    ]);
    const { signal, ...others } = options;
    assert.deepEqual(others, {
      ...{ temperature: 0.5, topP: 0.9, topK: 3, seed: 7, minP: 0.1 },
      ...{ maxTokens: 20, stop: ["x"], logprobs: false },
    });
    assert.deepEqual(variables, { date: "today" });
  });

  it("streams text as it comes", async () => {
    const { llama } = scriptedLlama({ answers: [" Hello, world"] });
    const { textStream, finishReason } = streamText({ model: cria(llama), prompt: "Hi" });
    const pieces = await Array.fromAsync(textStream);
    assert.equal(pieces.join(""), "Hello, world");
    assert.ok(pieces.length > 3, `${pieces.length} pieces`);
    assert.equal(await finishReason, "stop");
  });

  it("streams blocks of text and reasoning, and calls with their input as it is written", async () => {
    const answers = [`<think>hm</think>So.\n${call}`];
    const { llama } = scriptedLlama({ answers, format: "hermes" });
    const model = cria(llama);
    const { stream } = await model.doStream({
      prompt: [{ role: "user", content: [{ type: "text", text: "Hi" }] }],
      tools: [{ type: "function", name: "forecast", inputSchema: {} }],
    });
    const parts = await Array.fromAsync(
      stream as ReadableStream & AsyncIterable<{ type: string; delta?: string }>,
    );
    const types = parts.map(({ type }) => type).filter((type, i, all) => type !== all[i - 1]);
    assert.deepEqual(types, [
      ...["stream-start", "response-metadata", "reasoning-start", "reasoning-delta", "reasoning-end"],
      ...["text-start", "text-delta", "text-end", "tool-input-start", "tool-input-delta", "tool-input-end"],
      ...["tool-call", "finish"],
    ]);
    const input = parts.filter(({ type }) => type === "tool-input-delta").map(({ delta }) => delta);
    assert.ok(input.length > 2);
    assert.equal(input.join(""), '{"city": "Oslo"}');
  });

  it("calls tools, is told what they gave, and goes on", async () => {
    const { llama, asked } = scriptedLlama({ answers: [`I look.${call}`, "4 degrees"], format: "hermes" });
    for (const ask of [generateText, streamText]) {
      asked.length = 0;
      const result = ask({
        model: cria(llama),
        prompt: "Oslo?",
        tools: { forecast },
        stopWhen: stepCountIs(3),
      });
      const { steps, text } = await result;
      assert.equal(await text, "4 degrees");
      assert.equal((await steps)[0]?.finishReason, "tool-calls");
      const [first, second] = asked;
      assert.equal(first?.tools?.[0]?.function.name, "forecast");
      const [, answer, given] = second?.messages ?? [];
      assert.equal(answer?.content, "I look.");
      assert.deepEqual(answer?.tool_calls?.[0]?.function, { name: "forecast", arguments: { city: "Oslo" } });
      assert.equal(given?.tool_call_id, answer?.tool_calls?.[0]?.id);
      assert.equal(given?.content, '{"city":"Oslo","celsius":4}');
    }
  });

  it("takes markers for text if there are no tools, or none may be called", async () => {
    for (const options of [{}, { tools: { forecast }, toolChoice: "none" as const }]) {
      const { llama, asked } = scriptedLlama({ answers: [call], format: "hermes" });
      const { text, toolCalls } = await generateText({ model: cria(llama), prompt: "Oslo?", ...options });
      assert.deepEqual([text, toolCalls], [call, []]);
      assert.equal(asked[0]?.tools, undefined);
    }
  });

  it("says length if the answer was cut, and drops the call that was", async () => {
    const { llama } = scriptedLlama({
      answers: [`So.${call.slice(0, -20)}`],
      format: "hermes",
      finishReason: "length",
    });
    const result = await generateText({ model: cria(llama), prompt: "Oslo?", tools: { forecast } });
    assert.deepEqual([result.finishReason, result.text, result.toolCalls], ["length", "So.", []]);
  });

  it("gives the text of a call that is none", async () => {
    const written = '<tool_call>{"name": "forecast", "arguments": {"city" Oslo}}</tool_call>';
    const { llama } = scriptedLlama({ answers: [written], format: "hermes" });
    const result = await generateText({ model: cria(llama), prompt: "Oslo?", tools: { forecast } });
    assert.deepEqual([result.finishReason, result.toolCalls], ["stop", []]);
    assert.ok(result.text.includes('{"city" '));
  });

  it("warns about what has no effect", async () => {
    const { llama, asked } = scriptedLlama({ answers: [call, "{}"], format: "hermes" });
    const model = cria(llama);
    const tools = { forecast };
    const { warnings } = await generateText({
      model,
      prompt: "Hi",
      tools,
      toolChoice: "required",
      reasoning: "none",
    });
    const json = await generateText({ model, prompt: "Hi", output: Output.json() });
    assert.deepEqual(
      [...(warnings ?? []), ...(json.warnings ?? [])].map(
        (warning) => "feature" in warning && warning.feature,
      ),
      ["toolChoice", "responseFormat"],
    );
    assert.deepEqual(asked[0]?.variables, { enable_thinking: false });
  });

  it("stops when it is told to", async () => {
    const { llama, state } = scriptedLlama({ answers: ["on and on "], endless: true });
    const controller = new AbortController();
    const { textStream } = streamText({ model: cria(llama), prompt: "Hi", abortSignal: controller.signal });
    let pieces = 0;
    for await (const _ of textStream) if (++pieces === 5) controller.abort();
    assert.ok(pieces < 20, `${pieces} pieces`);
    const whole = generateText({ model: cria(llama), prompt: "Hi", abortSignal: AbortSignal.timeout(20) });
    await assert.rejects(whole, { name: "TimeoutError" });
    const { stream } = await cria(llama).doStream({ prompt: [] });
    const reader = stream.getReader();
    while ((await reader.read()).value?.type !== "text-delta");
    await reader.cancel();
    assert.equal(state.running, 0);
  });

  it("refuses what is not text, by name", async () => {
    const { llama } = scriptedLlama({ answers: ["Hi"] });
    const image = { type: "file" as const, data: new Uint8Array([1]), mediaType: "image/png" };
    await assert.rejects(
      generateText({ model: cria(llama), messages: [{ role: "user", content: [image] }], maxRetries: 0 }),
      { name: "UnsupportedError", message: /got a part file \(image\/png\)/ },
    );
    const parts = [
      { type: "text", text: "The chart:" },
      { type: "file-data", mediaType: "image/png" },
    ];
    const output = { type: "content", value: parts };
    const result = { type: "tool-result", toolCallId: "a", toolName: "chart", output };
    await assert.rejects(cria(llama).doGenerate({ prompt: [{ role: "tool", content: [result] }] }), {
      name: "UnsupportedError",
      message: /got a part file-data \(image\/png\)/,
    });
  });

  it("asks a model behind a queue as well", async () => {
    const jobs: Job[] = [];
    const served = {
      facts: { id: "tales", answerFormat: undefined },
      async *run(job: Job): AsyncGenerator<readonly JobEvent[], void> {
        jobs.push(job);
        yield [{ kind: "begin", promptTokens: 5, cachedTokens: 2, promptEnd: "Tales:", seed: 7 }];
        yield [
          { kind: "token", choice: 0, text: " Once" },
          { kind: "token", choice: 0, text: " more" },
        ];
        yield [{ kind: "end", choice: 0, finishReason: "stop", tokens: 2 }];
      },
    } as unknown as ServedModel;
    const result = await generateText({ model: cria(served, { maxTokens: 9 }), prompt: "Hi", seed: 1 });
    assert.deepEqual([result.text, result.response.modelId], ["Once more", "tales"]);
    assert.deepEqual([result.usage.inputTokens, result.usage.outputTokens], [5, 2]);
    const [{ prompt, maxTokens, sampling, n } = assert.fail()] = jobs;
    assert.deepEqual([maxTokens, sampling, n], [9, { seed: 1 }, 1]);
    assert.ok("messages" in prompt && prompt.messages.length === 1);
  });
});
