// Answers of a real model: valid for OpenAI's schemas, whole and streamed alike, and what is said of single fields holds.
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import { createServer } from "../../src/server/create_server.ts";
import { ask, askChat, hi } from "../support/ask.ts";
import { itShared, sharedJson } from "../support/shared.ts";
import { readSse } from "../support/sse.ts";
import { testModel } from "../support/test_model.ts";

// biome-ignore lint/suspicious/noExplicitAny: answers of several kinds
type Answer = any;

const model = await testModel();
const server = createServer({ model });
after(() => server.close());

const SCHEMAS = "conformance/openai_schemas.json";
const bytes = (text: string) => [...new TextEncoder().encode(text)];

async function chat({ stream_options, ...body }: Record<string, unknown>): Promise<Answer> {
  const response = await askChat(server, { max_tokens: 12, seed: 5, ...body });
  const answer = (await response.json()) as Answer;
  assert.equal(response.status, 200, JSON.stringify(answer));
  return answer;
}

async function streamed(path: string, body: Record<string, unknown>): Promise<Answer[]> {
  const { events, isDone } = await readSse(
    await ask(server, path, { max_tokens: 12, seed: 5, stream: true, ...body }),
  );
  assert.ok(isDone);
  return [...events];
}

const get = async (path: string) => {
  const response = await server.fetch(new Request(`http://localhost${path}`));
  return { status: response.status, answer: (await response.json()) as Answer };
};

const bodies: Record<string, unknown>[] = [
  {},
  { n: 3 },
  { logprobs: true },
  { logprobs: true, top_logprobs: 20, n: 2 },
  { stop: ["\n", " the"], logprobs: true },
  { max_tokens: 0 },
  { temperature: 0, stream_options: { include_usage: true } },
];

describe("answers", () => {
  itShared([SCHEMAS], "are valid for OpenAI's schemas", async () => {
    const { $defs } = sharedJson<{ $defs: object }>(SCHEMAS);
    const ajv = new Ajv2020({ strict: false, validateFormats: false });
    const valid = (name: string) => {
      const validate = ajv.compile({ $defs, $ref: `#/$defs/${name}` });
      return (value: unknown) =>
        assert.ok(validate(value), `${name}: ${ajv.errorsText(validate.errors)}: ${JSON.stringify(value)}`);
    };
    const whole = valid("CreateChatCompletionResponse");
    const chunk = valid("CreateChatCompletionStreamResponse");
    const completion = valid("CreateCompletionResponse");
    const error = valid("ErrorResponse");
    for (const body of bodies) {
      whole(await chat(body));
      for (const event of await streamed("/v1/chat/completions", { messages: hi, ...body })) chunk(event);
    }
    for (const body of [{}, { logprobs: 5, n: 2 }, { prompt: ["a", "b"], echo: true }, { max_tokens: 0 }]) {
      completion(await (await ask(server, "/v1/completions", { prompt: "Once", seed: 1, ...body })).json());
      // The schema is that of whole answers; in a stream OpenAI's own have no reason until the last, either.
      for (const event of await streamed("/v1/completions", { prompt: "Once", ...body })) {
        const choices = event.choices.map((choice: Answer) => ({
          ...choice,
          finish_reason: choice.finish_reason ?? "stop",
        }));
        completion({ ...event, choices });
      }
    }
    valid("ListModelsResponse")((await get("/v1/models")).answer);
    valid("Model")((await get("/v1/models/test")).answer);
    for (const path of ["/v1/models/other", "/nothing", "/v1/completions"]) error((await get(path)).answer);
  });

  it("streamed are the whole ones in pieces", async () => {
    for (const body of bodies) {
      const whole = await chat(body);
      const chunks = await streamed("/v1/chat/completions", { messages: hi, ...body });
      for (const { index, message, finish_reason, logprobs } of whole.choices) {
        const own = chunks.flatMap(({ choices }) =>
          choices.filter((choice: Answer) => choice.index === index),
        );
        assert.equal(own.map(({ delta }) => delta.content ?? "").join(""), message.content);
        assert.equal(own.at(-1).finish_reason, finish_reason);
        assert.deepEqual(own.at(-1).delta, {});
        assert.deepEqual(
          own.flatMap((choice) => choice.logprobs?.content ?? []),
          logprobs?.content ?? [],
        );
      }
      const { usage } = chunks.at(-1);
      assert.deepEqual(usage, body.stream_options ? whole.usage : undefined);
    }
  });

  it("have log-probabilities for every token: their bytes are the content's, alternatives are sorted", async () => {
    const { choices, usage } = await chat({ logprobs: true, top_logprobs: 20 });
    const [{ message, logprobs }] = choices;
    assert.equal(logprobs.content.length, usage.completion_tokens);
    const said = logprobs.content.flatMap((entry: Answer) => entry.bytes);
    assert.deepEqual(said, bytes(message.content));
    for (const { logprob, top_logprobs } of logprobs.content) {
      assert.equal(top_logprobs.length, 20);
      const values = top_logprobs.map((entry: Answer) => entry.logprob);
      assert.deepEqual(
        values,
        values.toSorted((a: number, b: number) => b - a),
      );
      assert.ok(values.every((value: number) => value <= 0) && logprob <= values[0]);
    }
  });

  it("have log-probabilities for the token that ends them, which adds no bytes", async () => {
    for (const more of [{}, { logit_bias: { 0: 100 }, max_tokens: 3 }]) {
      const { choices, usage } = await chat({ logprobs: true, temperature: 0, max_tokens: 60, ...more });
      const [{ message, logprobs }] = choices;
      assert.equal(logprobs.content.length, usage.completion_tokens);
      assert.deepEqual(
        logprobs.content.flatMap((entry: Answer) => entry.bytes),
        bytes(message.content),
      );
      const { token, bytes: last } = logprobs.content.at(-1);
      if (!("max_tokens" in more)) assert.deepEqual([token, last], ["</s>", []]);
      // The space that the content does not begin with is none of its name.
      else assert.equal(logprobs.content[0].token, "<unk>");
    }
  });

  it("end before a stop text, of which nothing is streamed", async () => {
    const free = await chat({ temperature: 0, logprobs: true });
    const [, one, two] = free.choices[0].logprobs.content.map((entry: Answer) => entry.token);
    // Parts of two tokens: the first is held back until the second comes.
    const stop = one.slice(-1) + two.slice(0, 1);
    const chunks = await streamed("/v1/chat/completions", { messages: hi, temperature: 0, stop });
    const text = chunks.map(({ choices: [{ delta }] }) => delta.content ?? "").join("");
    assert.equal(text, free.choices[0].message.content.split(stop)[0]);
    assert.equal(chunks.at(-1).choices[0].finish_reason, "stop");
  });

  it("depend on the seed alone, whatever integer it is", async () => {
    const text = async (seed: unknown) =>
      (await chat({ seed, temperature: 2, top_p: 1, top_k: 0 })).choices[0].message.content;
    for (const seed of [0, 1, -1, 2 ** 53, 2 ** 63, -(2 ** 63)])
      assert.equal(await text(seed), await text(seed));
    const texts = await Promise.all([0, 1, -1, 2 ** 53 - 2].map(text));
    assert.equal(new Set(texts).size, texts.length);
    const response = await askChat(server, { seed: 1.5 });
    assert.equal(((await response.json()) as Answer).error.param, "seed");
    assert.equal((await askChat(server, { seed: null, max_tokens: 1 })).status, 200);
  });

  it("say the seed that repeats them", async () => {
    const answer = (await (await askChat(server, { max_tokens: 6 })).json()) as Answer;
    const again = await chat({ seed: answer.seed, max_tokens: 6 });
    assert.equal(again.choices[0].message.content, answer.choices[0].message.content);
    assert.equal(again.seed, answer.seed);
  });

  it("of max_tokens 0 are empty", async () => {
    const { choices, usage } = await chat({ max_tokens: 0 });
    assert.deepEqual(
      [choices[0].message.content, choices[0].finish_reason, usage.completion_tokens],
      ["", "length", 0],
    );
  });

  it("never have a token that was forbidden", async () => {
    const free = await chat({ temperature: 0, logprobs: true, max_tokens: 6 });
    const first = free.choices[0].logprobs.content[0].token;
    const { tokens } = (await (await ask(server, "/tokenize", { content: first })).json()) as {
      tokens: number[];
    };
    const biased = await chat({
      temperature: 0,
      logprobs: true,
      max_tokens: 6,
      logit_bias: Object.fromEntries(tokens.map((id) => [id, -100])),
    });
    assert.ok(biased.choices[0].logprobs.content.every((entry: Answer) => entry.token !== first));
    for (const logit_bias of [{ 99999999: 1 }, { 1: 101 }, { x: 1 }, [1]]) {
      const { error } = (await (await askChat(server, { logit_bias })).json()) as Answer;
      assert.equal(error.param, "logit_bias", error.message);
      assert.doesNotMatch(error.message, /logitBias/);
    }
  });
});

describe("completions", () => {
  const complete = async (body: Record<string, unknown>) => {
    const response = await ask(server, "/v1/completions", { prompt: "Once", seed: 3, ...body });
    return (await response.json()) as Answer;
  };

  it("have log-probabilities in lists of equal length", async () => {
    const { choices } = await complete({ logprobs: 3, max_tokens: 4 });
    const { tokens, token_logprobs, top_logprobs, text_offset } = choices[0].logprobs;
    for (const list of [tokens, token_logprobs, top_logprobs, text_offset]) assert.equal(list.length, 4);
    assert.equal(tokens.join(""), choices[0].text);
    assert.deepEqual(
      text_offset,
      tokens.map((_: string, i: number) => tokens.slice(0, i).join("").length),
    );
    assert.equal(Object.keys(top_logprobs[0]).length, 3);
  });

  it("say where each token begins in the text, whole and streamed, whatever is held back", async () => {
    const cases: readonly [Record<string, unknown>, string][] = [
      // Ends of tokens are held back for the stop text.
      [{ stop: ["e z", "s q", " t z"], max_tokens: 30 }, "Once upon a time"],
      // Of no text the first token has no space, and control tokens have no text.
      [{ max_tokens: 6 }, ""],
      [{ logit_bias: { 1: 100 }, max_tokens: 4 }, "Once"],
      // Bytes of one character.
      [{ logit_bias: Object.fromEntries([0xf0, 0x9f].map((byte) => [byte + 3, 50])), max_tokens: 6 }, "a"],
    ];
    for (const [more, prompt] of cases) {
      const body = { prompt, logprobs: 1, temperature: 0, ...more };
      const [{ text, logprobs }] = (await complete(body)).choices;
      const chunks = await streamed("/v1/completions", { seed: 3, ...body });
      const ofStream = chunks.flatMap(({ choices }) => choices[0].logprobs?.text_offset ?? []);
      assert.deepEqual(ofStream, logprobs.text_offset, prompt);
      for (const [i, token] of logprobs.tokens.entries()) {
        const at = logprobs.text_offset[i];
        assert.ok(at <= text.length, `${i} of ${JSON.stringify(logprobs)}`);
        if (/^[ a-z]+$/i.test(token))
          assert.ok(text.startsWith(i === 0 ? token.trim() : token, at), `${at} of ${text}`);
      }
    }
  });

  it("of more prompts than may wait are answered all the same, if there is room for the first", async () => {
    const prompt = Array.from({ length: 100 }, (_, i) => (i % 2 === 0 ? "Once" : "The"));
    const { choices } = await complete({ prompt, max_tokens: 1 });
    assert.equal(choices.length, 100);
    const [once, the] = [await complete({ max_tokens: 1 }), await complete({ prompt: "The", max_tokens: 1 })];
    for (const { index, text } of choices) assert.equal(text, (index % 2 === 0 ? once : the).choices[0].text);
  });

  it("of several prompts are in order, each as alone", async () => {
    const both = await complete({ prompt: ["Once", "The"], n: 2, max_tokens: 3 });
    assert.deepEqual(
      both.choices.map(({ index }: Answer) => index),
      [0, 1, 2, 3],
    );
    const [once, the] = [await complete({ max_tokens: 3 }), await complete({ prompt: "The", max_tokens: 3 })];
    assert.equal(both.choices[0].text, once.choices[0].text);
    assert.equal(both.choices[2].text, the.choices[0].text);
    assert.equal(both.usage.prompt_tokens, once.usage.prompt_tokens + the.usage.prompt_tokens);
  });

  it("begin with their prompt if asked, of text or of ids", async () => {
    const { tokens } = (await (await ask(server, "/tokenize", { content: "Once" })).json()) as {
      tokens: number[];
    };
    for (const prompt of ["Once", tokens]) {
      const { choices } = await complete({ prompt, echo: true, max_tokens: 2 });
      assert.match(choices[0].text, /^ ?Once./);
    }
  });
});

describe("other routes", () => {
  it("tokenize as llama-server does: pieces are texts, or bytes of no whole character", async () => {
    const body = { content: "Once 🤗", with_pieces: true };
    const { tokens } = (await (await ask(server, "/tokenize", body)).json()) as Answer;
    const all = tokens.flatMap(({ piece }: Answer) => (typeof piece === "string" ? bytes(piece) : piece));
    assert.equal(new TextDecoder().decode(new Uint8Array(all)).trim(), "Once 🤗");
    const ids = tokens.map(({ id }: Answer) => id);
    const { content } = (await (await ask(server, "/detokenize", { tokens: ids })).json()) as Answer;
    assert.equal(content.trim(), "Once 🤗");
    const wrong = await ask(server, "/detokenize", { tokens: [1e9] });
    assert.equal(wrong.status, 400);
  });

  it("render a conversation", async () => {
    const { prompt } = (await (await ask(server, "/apply-template", { messages: hi })).json()) as Answer;
    assert.match(prompt, /Hi/);
  });

  it("say what computes, without anybody's text", async () => {
    const { answer: slots } = await get("/slots");
    assert.equal(slots.length, 8);
    assert.deepEqual(Object.keys(slots[0]).sort(), [
      ...["id", "is_processing", "n_ctx", "n_prompt_tokens", "next_token", "speculative"],
    ]);
    const { answer: props } = await get("/props");
    assert.equal(props.total_slots, 8);
    assert.equal(props.default_generation_settings.n_ctx, 256);
  });

  it("count what happened, each sample with HELP and TYPE, and no counter falls", async () => {
    const sample = async () => {
      const response = await server.fetch(new Request("http://localhost/metrics"));
      assert.match(response.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
      const lines = (await response.text()).trimEnd().split("\n");
      const types = new Map<string, string>();
      const values = new Map<string, number>();
      for (const line of lines) {
        const [, kind, name, rest] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? [];
        if (kind === "TYPE") types.set(name as string, rest as string);
        if (kind) continue;
        const [, sampled, value] = /^(\S+(?:\{.*\})?) (\S+)$/.exec(line) ?? [];
        const family = (sampled as string).replace(/\{.*/, "").replace(/_(bucket|sum|count)$/, "");
        assert.ok(types.has(family) || types.has((sampled as string).replace(/\{.*/, "")), line);
        values.set(sampled as string, Number(value));
      }
      return { types, values };
    };
    const before = await sample();
    await chat({});
    const later = await sample();
    for (const [name, value] of before.values) {
      const family = name.replace(/\{.*/, "");
      if (later.types.get(family) !== "gauge") assert.ok((later.values.get(name) as number) >= value, name);
    }
    const grown = (name: string) => (later.values.get(name) as number) - (before.values.get(name) as number);
    assert.equal(grown("cria_tokens_predicted_total"), 12);
    assert.equal(grown('cria_requests_total{route="/v1/chat/completions",status="200"}'), 1);
    assert.equal(grown("cria_time_to_first_token_seconds_count"), 1);
  });
});
