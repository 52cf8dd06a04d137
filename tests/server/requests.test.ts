// Every request of the conformance list gets its status and what is said of it, from a real model.
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { createServer } from "../../src/server/create_server.ts";
import { ask, hi } from "../support/ask.ts";
import { itShared, sharedJson } from "../support/shared.ts";
import { testModel } from "../support/test_model.ts";

interface Row {
  readonly req?: Record<string, unknown>;
  readonly raw?: unknown;
  readonly raw_bytes?: number;
  readonly method?: string;
  readonly path?: string;
  readonly status: number;
  readonly param?: string;
  readonly code?: string;
}

const model = await testModel();
const server = createServer({ model });
after(() => server.close());

/** Long texts of the list. */
function spelled(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(spelled);
  const { $repeat, $concat } = value as { $repeat?: [string, number]; $concat?: unknown[] };
  if ($repeat) return $repeat[0].repeat($repeat[1]);
  if ($concat) return $concat.map(spelled).join("");
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, spelled(inner)]));
}

async function send(row: Row): Promise<{ status: number; text: string; headers: Headers }> {
  const { path = "/v1/chat/completions", method = "POST" } = row;
  const raw =
    row.raw_bytes !== undefined ? " ".repeat(row.raw_bytes) : row.raw && (spelled(row.raw) as string);
  // Short answers are enough.
  const length = path.startsWith("/v1/") && row.status === 200 ? { max_tokens: 12 } : {};
  const body = raw ?? { model: model.facts.id, ...length, ...(spelled(row.req ?? {}) as object) };
  const response =
    method === "GET"
      ? await server.fetch(new Request(`http://localhost${path}`))
      : await ask(server, path, body);
  return { status: response.status, text: await response.text(), headers: response.headers };
}

/** A value with each of its parts taken away, or another one in its place. */
function* damaged(value: unknown): Generator<unknown> {
  const entries = Object.entries(Object(value) === value ? (value as object) : {});
  const put = (at: string, part: unknown) =>
    Array.isArray(value)
      ? value.map((old, i) => (String(i) === at ? part : old))
      : { ...(value as object), [at]: part };
  for (const [key, part] of entries) {
    for (const other of [undefined, null, true, 1, "", "x".repeat(1100), [], [1], [[]], {}])
      yield put(key, other);
    for (const inner of damaged(part)) yield put(key, inner);
  }
}

/** Rows that the list answers with 200, and why they are refused here. */
const gaps: readonly { readonly of: (row: Row) => boolean; readonly status: number; readonly why: string }[] =
  [
    {
      of: ({ req }) => /^json_/.test((req?.response_format as { type?: string } | undefined)?.type ?? ""),
      status: 400,
      why: "response_format needs grammars, which do not exist yet",
    },
    {
      of: ({ path, status }) => path === "/v1/embeddings" && status === 200,
      status: 501,
      why: "there are no embeddings yet",
    },
  ];

describe("requests", () => {
  itShared(["conformance/openai_stream.json"], "are answered as the list says", async () => {
    const { requests } = sharedJson<{ requests: Row[] }>("conformance/openai_stream.json");
    assert.ok(requests.length >= 46);
    let refused = 0;
    for (const row of requests) {
      const gap = gaps.find(({ of }) => of(row));
      if (gap) refused++;
      const { status, text } = await send(row);
      const shown = JSON.stringify({ ...row, raw: undefined }).slice(0, 200);
      assert.equal(status, gap?.status ?? row.status, `${shown}: ${text.slice(0, 300)}`);
      if (status === 200) continue;
      const { error } = JSON.parse(text);
      assert.deepEqual(Object.keys(error), ["message", "type", "param", "code"], shown);
      if (row.param) assert.equal(error.param, row.param, `${shown}: ${error.message}`);
      if (row.code) assert.equal(error.code, row.code, shown);
      assert.ok(error.message.length < 500, shown);
    }
    assert.equal(refused, 3);
  });

  it("that are too long say how long a prompt may be, and how long it is", async () => {
    for (const words of [300, 100_000]) {
      const messages = [{ role: "user", content: "x ".repeat(words) }];
      const response = await ask(server, "/v1/chat/completions", { messages });
      const { error } = (await response.json()) as {
        error: { message: string; code: string; param: string };
      };
      assert.deepEqual(
        [response.status, error.code, error.param],
        [400, "context_length_exceeded", "messages"],
      );
      assert.ok((error.message.match(/\d+/g) ?? []).length >= 2, error.message);
    }
  });

  it("pass over what changes nothing, and refuse by name what would and is not done", async () => {
    const harmless = {
      user: "me",
      metadata: {},
      store: true,
      service_tier: "auto",
      anything: [1],
      n: null,
      stop: null,
    };
    const taken = await ask(server, "/v1/chat/completions", { messages: hi, max_tokens: 1, ...harmless });
    assert.equal(taken.status, 200);
    const refused: Record<string, unknown> = {
      grammar: "root ::= [a]",
      json_schema: {},
      functions: [{ name: "f" }],
      modalities: ["text", "audio"],
      min_tokens: 3,
      ignore_eos: true,
      n_predict: 5,
      max_output_tokens: 3,
      chat_template: "{{ messages }}",
      include_stop_str_in_output: true,
      skip_special_tokens: false,
      truncate_prompt_tokens: 4,
      chat_template_kwargs: { messages: [] },
      documents: [{ text: "a" }],
      reasoning_effort: "much",
      parallel_tool_calls: "no",
      max_tokens: -1,
      stream_options: { include_usage: true },
      top_k: -2,
      n: 129,
      stop: "\ud83d",
      logprobs: 1,
      tools: [{ type: "custom", custom: { name: "f" } }],
    };
    for (const [name, value] of Object.entries(refused)) {
      const response = await ask(server, "/v1/chat/completions", { messages: hi, [name]: value });
      const { error } = (await response.json()) as { error: { param: string; message: string } };
      assert.deepEqual([response.status, error.param], [400, name], error.message);
    }
    const refuses = async (path: string, body: object, param: string) => {
      const response = await ask(server, path, body);
      const { error } = (await response.json()) as { error: { param: string; message: string } };
      assert.deepEqual([response.status, error.param], [400, param], error.message);
    };
    await refuses("/v1/completions", { prompt: "a", max_completion_tokens: 1 }, "max_completion_tokens");
    for (const name of ["max_tokens", "max_completion_tokens", "stop"])
      await refuses("/v1/responses", { input: "a", [name]: 1 }, name);
    for (const path of ["/v1/chat/completions", "/v1/responses"]) {
      const body =
        '{"messages": [{"role": "user", "content": "a"}], "input": "a", "chat_template_kwargs": {"a": 1e400}}';
      await refuses(path, body as never, "chat_template_kwargs");
    }
    // The window that there is, and any if nothing is penalised.
    for (const [window, penalty, status] of [
      [64, 1.1, 200],
      [128, 1, 200],
      [128, 1.1, 400],
    ]) {
      const body = { messages: hi, max_tokens: 1, repeat_last_n: window, repeat_penalty: penalty };
      const response = await ask(server, "/v1/chat/completions", body);
      assert.equal(response.status, status, await response.text());
    }
    const stops = await ask(server, "/v1/chat/completions", {
      messages: hi,
      stop: ["a", "b", "c", "d", "e"],
    });
    assert.equal(stops.status, 400);
  });

  it("with a wrong or missing value anywhere are answered in one plain sentence", async () => {
    const call = { id: "c", type: "function", function: { name: "f", arguments: "{}" } };
    const bases: Record<string, Record<string, unknown>> = {
      "/v1/chat/completions": {
        messages: [
          { role: "user", content: [{ type: "text", text: "a" }] },
          { role: "assistant", tool_calls: [call] },
          { role: "tool", tool_call_id: "c", content: "x" },
        ],
        tools: [{ type: "function", function: { name: "f" } }],
        stop: ["a"],
        stream_options: {},
      },
      "/v1/responses": {
        input: [
          { type: "message", role: "user", content: [{ type: "input_text", text: "a" }] },
          { type: "function_call", call_id: "c", name: "f", arguments: "{}" },
          { type: "function_call_output", call_id: "c", output: "x" },
        ],
        tools: [{ type: "function", name: "f" }],
        text: { format: { type: "text" } },
        reasoning: {},
      },
      "/tokenize": { content: "a" },
      "/detokenize": { tokens: [1] },
    };
    let refused = 0;
    for (const [path, base] of Object.entries(bases)) {
      for (const body of damaged(base)) {
        const response = await ask(server, path, body);
        if (response.status === 200) {
          await response.text();
          continue;
        }
        const { error } = (await response.json()) as { error: { message: string } };
        assert.equal(response.status, 400, error.message);
        assert.ok(!/undefined|Invalid|Array|Object|but received/.test(error.message), error.message);
        refused++;
      }
    }
    assert.ok(refused > 200, String(refused));
  });

  it("with n choices count the prompt once, and choices differ", async () => {
    const one = await ask(server, "/v1/chat/completions", { messages: hi, max_tokens: 8, seed: 1 });
    const two = await ask(server, "/v1/chat/completions", { messages: hi, max_tokens: 8, seed: 1, n: 2 });
    // biome-ignore lint/suspicious/noExplicitAny: an answer
    const [first, both] = [(await one.json()) as any, (await two.json()) as any];
    assert.equal(both.usage.prompt_tokens, first.usage.prompt_tokens);
    assert.equal(both.usage.completion_tokens, 16);
    const texts = both.choices.map((choice: { message: { content: string } }) => choice.message.content);
    assert.equal(texts[0], first.choices[0].message.content);
    assert.notEqual(texts[1], texts[0]);
  });
});
