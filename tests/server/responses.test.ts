// The Responses API: input as a conversation, events of a stream, and nothing that is stored.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createServer } from "../../src/server/create_server.ts";
import { ask } from "../support/ask.ts";
import { begin, ended, fakeModel, said, script } from "../support/fake_model.ts";
import { readSse } from "../support/sse.ts";

// biome-ignore lint/suspicious/noExplicitAny: answers of several kinds
type Answer = any;

function serverOf(finish: "eos" | "length" = "eos") {
  const model = fakeModel({
    run: () => script([begin(9, 4)], [said("Once")], [said(""), said(" upon")], [ended(finish, 3)]),
  });
  return { model, server: createServer({ model }) };
}

async function respond(body: Record<string, unknown>) {
  const { model, server } = serverOf();
  const response = await ask(server, "/v1/responses", body);
  return { status: response.status, answer: (await response.json()) as Answer, job: model.jobs[0] };
}

describe("responses", () => {
  it("are one message of text, with usage and what was asked", async () => {
    const { status, answer } = await respond({
      input: "Hi",
      instructions: "Be brief.",
      max_output_tokens: 8,
      metadata: { a: "b" },
      temperature: 0.5,
    });
    assert.equal(status, 200);
    assert.match(answer.id, /^resp_/);
    assert.deepEqual(
      [answer.object, answer.status, answer.store, answer.temperature],
      ["response", "completed", false, 0.5],
    );
    assert.deepEqual(
      [answer.instructions, answer.max_output_tokens, answer.metadata],
      ["Be brief.", 8, { a: "b" }],
    );
    const [{ id, ...message }] = answer.output;
    assert.match(id, /^msg_/);
    assert.deepEqual(message, {
      type: "message",
      role: "assistant",
      content: [{ type: "output_text", text: "Once upon", annotations: [], logprobs: [] }],
      status: "completed",
    });
    assert.deepEqual(answer.usage, {
      input_tokens: 9,
      input_tokens_details: { cached_tokens: 4 },
      output_tokens: 3,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: 12,
    });
  });

  it("take a conversation: messages of parts, calls and their results, reasoning", async () => {
    const { job } = await respond({
      instructions: "Be brief.",
      input: [
        { role: "developer", content: "Rules" },
        { type: "message", role: "user", content: [{ type: "input_text", text: "Weather?" }] },
        { type: "reasoning", id: "rs_1", summary: [] },
        { role: "assistant", content: [{ type: "output_text", text: "Let me look.", annotations: [] }] },
        {
          type: "function_call",
          call_id: "c1",
          name: "weather",
          arguments: "{}",
          id: "fc_1",
          status: "completed",
        },
        { type: "function_call", call_id: "c2", name: "time", arguments: "{}" },
        { type: "function_call_output", call_id: "c1", output: "sunny" },
        { type: "function_call_output", call_id: "c2", output: "noon" },
      ],
    });
    const call = (id: string, name: string) => ({
      id,
      type: "function",
      function: { name, arguments: "{}" },
    });
    assert.deepEqual((job as Answer).prompt.messages, [
      { role: "system", content: "Be brief." },
      { role: "system", content: "Rules" },
      { role: "user", content: [{ type: "text", text: "Weather?" }] },
      {
        role: "assistant",
        content: [{ type: "text", text: "Let me look." }],
        tool_calls: [call("c1", "weather"), call("c2", "time")],
      },
      { role: "tool", tool_call_id: "c1", content: "sunny" },
      { role: "tool", tool_call_id: "c2", content: "noon" },
    ]);
  });

  it("refuse what needs a store, and what is not done, with the field", async () => {
    const image = [{ role: "user", content: [{ type: "input_image", image_url: "data:," }] }];
    const rows: readonly [string, Record<string, unknown>][] = [
      ["store", { input: "Hi", store: true }],
      ["previous_response_id", { input: "Hi", previous_response_id: "resp_1" }],
      ["conversation", { input: "Hi", conversation: "conv_1" }],
      ["prompt", { input: "Hi", prompt: { id: "pmpt_1" } }],
      ["background", { input: "Hi", background: true }],
      ["input", {}],
      ["input", { input: [] }],
      ["input", { input: [1] }],
      ["input", { input: image }],
      ["input", { input: [{ type: "function_call_output", call_id: "c1", output: "x" }] }],
      ["input", { input: [{ type: "web_search_call" }] }],
      ["text", { input: "Hi", text: { format: { type: "json_object" } } }],
      ["tools", { input: "Hi", tools: [{ type: "web_search" }] }],
      ["tool_choice", { input: "Hi", tools: [{ type: "function", name: "f" }], tool_choice: "required" }],
      ["include", { input: "Hi", include: ["message.output_text.logprobs"] }],
      ["truncation", { input: "Hi", truncation: "auto" }],
      ["max_output_tokens", { input: "Hi", max_output_tokens: 0 }],
      ["temperature", { input: "Hi", temperature: 3 }],
    ];
    for (const [param, body] of rows) {
      const { status, answer } = await respond(body);
      assert.deepEqual([status, answer.error?.param], [400, param], JSON.stringify(answer));
    }
    for (const body of [{ store: false }, { store: null, previous_response_id: null }, { background: false }])
      assert.equal((await respond({ input: "Hi", ...body })).status, 200);
  });

  it("stream events in order: each is numbered, and the last has the whole response", async () => {
    const response = await ask(serverOf().server, "/v1/responses", { input: "Hi", stream: true });
    const { events, isDone } = await readSse(response);
    assert.equal(isDone, false);
    assert.deepEqual(
      events.map(({ type }) => type),
      [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
      ],
    );
    assert.deepEqual(
      events.map(({ sequence_number }) => sequence_number),
      [...events.keys()],
    );
    const [created] = events;
    const last = events.at(-1);
    assert.deepEqual(
      [created.response.status, created.response.output, created.response.usage],
      ["in_progress", [], null],
    );
    assert.equal(last.response.id, created.response.id);
    assert.equal(last.response.output[0].content[0].text, "Once upon");
    assert.equal(new Set(events.flatMap(({ item_id }) => item_id ?? [])).size, 1);
  });

  it("that were cut off are incomplete, and say why", async () => {
    const { server } = serverOf("length");
    const answer = (await (await ask(server, "/v1/responses", { input: "Hi" })).json()) as Answer;
    assert.deepEqual(
      [answer.status, answer.incomplete_details],
      ["incomplete", { reason: "max_output_tokens" }],
    );
    const { events } = await readSse(
      await ask(serverOf("length").server, "/v1/responses", { input: "Hi", stream: true }),
    );
    assert.equal(events.at(-1).type, "response.incomplete");
    assert.equal(events.at(-1).response.output[0].status, "incomplete");
  });

  it("that fail end with an error event", async () => {
    async function* failing() {
      yield [begin(), said("x")];
      throw Object.assign(new Error("trap"), { code: "ENGINE" });
    }
    const server = createServer({ model: fakeModel({ run: failing }) });
    const { events } = await readSse(await ask(server, "/v1/responses", { input: "Hi", stream: true }));
    const { type, code, sequence_number } = events.at(-1);
    assert.deepEqual([type, code, sequence_number], ["error", "engine_failed", events.length - 1]);
  });
});
