// Streams of chat completions have the structure that OpenAI's clients rely on.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createServer } from "../../src/server/create_server.ts";
import type { JobEvent } from "../../src/server/model.ts";
import { askChat } from "../support/ask.ts";
import { begin, ended, fakeModel, likely, said, script } from "../support/fake_model.ts";
import { itShared, sharedJson } from "../support/shared.ts";
import { readSse } from "../support/sse.ts";

interface Transcript {
  readonly name: string;
  readonly events: readonly Record<string, unknown>[];
}

function serverOf(...batches: JobEvent[][]) {
  const facts = { answerFormat: "hermes" };
  return createServer({ model: fakeModel({ facts, run: () => script(...batches) }) });
}

const tools = ["get_weather", "add", "now"].map((name) => ({ type: "function", function: { name } }));
const call = (name: string, args: string) =>
  `<tool_call>{"name": "${name}", "arguments": ${args}}</tool_call>`;

/** A text, one character at a time. */
const spelled = (text: string): JobEvent[][] => [...text].map((char) => [said(char)]);

interface CallDelta {
  readonly index: number;
  readonly id?: string;
  readonly function: { readonly arguments: string };
}

/**
 * What is the same in every stream of a kind: all but names, times, the version, ids, and where the text of arguments,
 * content and reasoning is cut.
 */
function structure(events: readonly Record<string, unknown>[]) {
  const all: Record<string, unknown>[] = [];
  for (const { id, created, model, system_fingerprint, ...rest } of structuredClone(events)) {
    const [choice] = (rest.choices ?? []) as { index: number; delta: Record<string, unknown> }[];
    const [last] = (all.at(-1)?.choices ?? []) as { index: number; delta: Record<string, unknown> }[];
    const [call] = (choice?.delta.tool_calls ?? []) as CallDelta[];
    if (call?.id !== undefined) Object.assign(call, { id: "ID" });
    const added = choice && last && choice.index === last.index && joined(last.delta, choice.delta);
    if (added) (last as { delta: unknown }).delta = added;
    else all.push(rest);
  }
  return all;
}

function joined(one: Record<string, unknown>, two: Record<string, unknown>) {
  const [name, more] = Object.keys(two);
  if (name === undefined || more !== undefined || one.role !== undefined || one[name] === undefined)
    return undefined;
  if (name !== "tool_calls")
    return name === "reasoning_content" ? { [name]: `${one[name]}${two[name]}` } : undefined;
  const [[first], [second]] = [one[name] as CallDelta[], two[name] as CallDelta[]];
  if (first?.index !== second?.index || first?.id !== undefined || second?.id !== undefined) return undefined;
  const text = `${first?.function.arguments}${second?.function.arguments}`;
  return { tool_calls: [{ index: first?.index, function: { arguments: text } }] };
}

async function stream(server: ReturnType<typeof serverOf>, body: Record<string, unknown> = {}) {
  const response = await askChat(server, { stream: true, ...body });
  assert.equal(response.status, 200);
  return readSse(response);
}

/** What a model has to say for each transcript. */
const scripts: Record<string, { batches: JobEvent[][]; body?: Record<string, unknown> }> = {
  text: { batches: [[begin()], [said("Once")], [said(" upon")], [ended()]] },
  "usage asked for (stream_options.include_usage)": {
    batches: [[begin(9, 4)], [said("Hi")], [ended("eos", 1)]],
    body: { stream_options: { include_usage: true } },
  },
  length: { batches: [[begin()], [said("a"), said("b"), ended("length")]] },
  "empty answer": { batches: [[begin(), ended("eos", 0)]] },
  "code point split over tokens: no chunk holds half a character": {
    batches: [[begin()], [said("")], [said("\u{1f600}")], [said(""), said("é")], [ended("eos", 4)]],
  },
  "n = 2, interleaved": {
    batches: [
      [begin()],
      [said("A", 0), said("B", 1)],
      [said("a", 0), ended("stop", 2, 0)],
      [said("b", 1), ended("length", 2, 1)],
    ],
    body: { n: 2 },
  },
  logprobs: {
    batches: [
      [begin()],
      [likely("A", -0.1, { A: -0.1, B: -2.5 })],
      [likely("é", -0.5, { é: -0.5 })],
      [ended()],
    ],
    body: { logprobs: true, top_logprobs: 2 },
  },
  "tool call": {
    batches: [[begin()], ...spelled(call("get_weather", '{"city":"Oslo"}')), [ended()]],
    body: { tools },
  },
  "text, then a tool call": {
    batches: [
      [begin()],
      [said("Let me look.")],
      ...spelled(call("get_weather", '{"city":"Oslo"}')),
      [ended()],
    ],
    body: { tools },
  },
  "two parallel tool calls": {
    batches: [
      [begin()],
      ...spelled(`${call("get_weather", '{"city":"Oslo"}')}\n${call("add", '{"a":1,"b":2}')}`),
      [ended()],
    ],
    body: { tools },
  },
  "tool call without arguments": {
    batches: [[begin()], ...spelled(call("now", "{}")), [ended()]],
    body: { tools },
  },
  "reasoning (extension that llama-server, vLLM, DeepSeek share)": {
    batches: [[begin()], ...spelled("<think>\nHmm.\n</think>\n4"), [ended()]],
  },
  "keep-alive comments between events": { batches: [[begin()], [said("x")], [ended()]] },
};

describe("chat completions as a stream", () => {
  itShared(["conformance/openai_stream.json"], "are what the transcripts are", async () => {
    const { transcripts } = sharedJson<{ transcripts: Transcript[] }>("conformance/openai_stream.json");
    let n = 0;
    for (const { name, events } of transcripts) {
      const scripted = scripts[name];
      if (!scripted) continue;
      const found = await stream(serverOf(...scripted.batches), scripted.body);
      assert.deepEqual(structure(found.events), structure(events), name);
      assert.ok(found.isDone, name);
      n++;
    }
    assert.equal(n, Object.keys(scripts).length);
  });

  it("begin with the role, end with a reason for each choice and [DONE], and have one id", async () => {
    const { events, isDone } = await stream(serverOf([begin()], [said("Once"), said(" upon")], [ended()]));
    assert.deepEqual(
      events.map(({ choices: [choice] }) => [choice.delta, choice.finish_reason]),
      [
        [{ role: "assistant", content: "" }, null],
        [{ content: "Once" }, null],
        [{ content: " upon" }, null],
        [{}, "stop"],
      ],
    );
    assert.equal(new Set(events.map(({ id }) => id)).size, 1);
    assert.match(events[0].id, /^chatcmpl-[0-9a-f]{24}$/);
    assert.match(events[0].system_fingerprint, /^cria-\d/);
    assert.ok(isDone);
  });

  it("say length for a call that was cut off, tool_calls for whole ones, and text is a call to nobody", async () => {
    const whole = call("add", '{"a":1}');
    const rows: readonly [string, "eos" | "length", object, string, number][] = [
      [whole, "eos", { tools }, "tool_calls", 1],
      [whole, "length", { tools }, "tool_calls", 1],
      [whole.slice(0, 40), "length", { tools }, "length", 1],
      [`${whole}\n${whole.slice(0, 40)}`, "length", { tools }, "length", 2],
      [whole, "eos", {}, "stop", 0],
      [whole, "eos", { tools, tool_choice: "none" }, "stop", 0],
      ["none", "eos", { tools }, "stop", 0],
    ];
    for (const [text, reason, body, finish, calls] of rows) {
      const server = serverOf([begin()], ...spelled(text), [ended(reason)]);
      const { events } = await stream(server, { ...body });
      const deltas = events.flatMap(({ choices: [{ delta }] }) => delta.tool_calls ?? []);
      assert.equal(events.at(-1).choices[0].finish_reason, finish, text);
      assert.equal(new Set(deltas.map(({ index }) => index)).size, calls, text);
      // biome-ignore lint/suspicious/noExplicitAny: an answer
      const answer = (await (await askChat(server, { ...body })).json()) as any;
      const [{ message, finish_reason }] = answer.choices;
      assert.equal(finish_reason, finish);
      assert.equal((message.tool_calls ?? []).length, calls);
      for (const [i, { function: named }] of (message.tool_calls ?? []).entries()) {
        const own = deltas.filter(({ index }) => index === i).map(({ function: part }) => part.arguments);
        assert.equal(own.join(""), named.arguments);
      }
      if (calls === 0) assert.equal(message.content, text);
    }
  });

  it("end with the error if the engine fails in the middle, and without [DONE]", async () => {
    async function* failing() {
      yield [begin(), said("x")];
      throw Object.assign(new Error("trap at 0x1234"), { code: "ENGINE" });
    }
    const { events, isDone } = await stream(createServer({ model: fakeModel({ run: failing }) }));
    const { error } = events.at(-1);
    assert.deepEqual(Object.keys(error), ["message", "type", "param", "code"]);
    assert.deepEqual([error.type, error.code, isDone], ["server_error", "engine_failed", false]);
    assert.doesNotMatch(error.message, /0x1234/);
  });

  it("leave out the log-probabilities of a stop string", async () => {
    const held = { ...likely("\n", -3), text: "" } as JobEvent;
    const server = serverOf(
      [begin()],
      [likely("a", -1)],
      [held],
      [{ ...ended("stop"), stop: "\n" } as JobEvent],
    );
    const { events } = await stream(server, { logprobs: true });
    const tokens = events.flatMap(({ choices: [{ logprobs }] }) => logprobs?.content ?? []);
    assert.deepEqual(
      tokens.map(({ token }) => token),
      ["a"],
    );
  });
});
