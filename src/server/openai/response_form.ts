// Responses as OpenAI's clients read them: one object, or events that tell how it grows.
import type { AnswerDelta } from "../../chat/answer/output.ts";
import { asHttpError, errorBody } from "../http/errors.ts";
import type { StreamWriter } from "../http/event_stream.ts";
import type { ModelFacts } from "../model.ts";
import type { AnswerForm } from "./answer.ts";
import { newParser, type ParserOptions, plainParser } from "./answer_parser.ts";
import { Choice } from "./choice.ts";
import { newId, now } from "./ids.ts";
import { type JobBatch, UsageSum } from "./run.ts";

/** What decides the form of an answer. */
export interface ResponseFormOptions extends ParserOptions {
  readonly facts: ModelFacts;
  /** Fields that an answer repeats of its request. */
  readonly repeated: Readonly<Record<string, unknown>>;
}

type Kind = "message" | "reasoning" | "function_call";

interface Item {
  readonly kind: Kind;
  readonly id: string;
  readonly callId: string;
  readonly name: string;
  text: string;
}

const kinds: Readonly<Record<AnswerDelta["kind"], Kind>> = {
  content: "message",
  reasoning: "reasoning",
  call: "function_call",
  arguments: "function_call",
};

const prefixes: Readonly<Record<Kind, string>> = { message: "msg_", reasoning: "rs_", function_call: "fc_" };

/** Events of one piece of output: what they are called. */
const eventNames: Readonly<Record<Kind, { delta: string; done: string }>> = {
  message: { delta: "response.output_text.delta", done: "response.output_text.done" },
  reasoning: { delta: "response.reasoning_text.delta", done: "response.reasoning_text.done" },
  function_call: {
    delta: "response.function_call_arguments.delta",
    done: "response.function_call_arguments.done",
  },
};

/** The answer to a request for a response. */
export class ResponseForm implements AnswerForm {
  readonly #options: ResponseFormOptions;
  readonly #id = newId("resp_");
  readonly #created = now();
  readonly #usage = new UsageSum();
  readonly #items: Item[] = [];
  #choice = new Choice(plainParser);
  #sequence = 0;

  constructor(options: ResponseFormOptions) {
    this.#options = options;
  }

  take(batch: JobBatch): void {
    this.#write(batch);
  }

  whole(): unknown {
    const isCut = this.#choice.finish === "length";
    return this.#response(isCut ? "incomplete" : "completed");
  }

  stream(): StreamWriter<JobBatch> {
    let isBegun = false;
    return {
      write: (batch) => {
        let text = "";
        if (!isBegun) {
          isBegun = true;
          const response = this.#response("in_progress");
          text =
            this.#event("response.created", { response }) + this.#event("response.in_progress", { response });
        }
        return text + this.#write(batch);
      },
      end: () => {
        const response = this.whole() as { status: string };
        return this.#event(`response.${response.status}`, { response });
      },
      fail: (error) => {
        const { message, param, code } = errorBody(asHttpError(error)).error;
        return this.#event("error", { message, param, code });
      },
    };
  }

  #event(type: string, fields: object): string {
    return `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: this.#sequence++, ...fields })}\n\n`;
  }

  #write({ events }: JobBatch): string {
    let text = "";
    for (const happened of events) {
      this.#usage.add(happened);
      if (happened.kind === "begin") {
        this.#choice = new Choice(newParser(this.#options, happened.promptEnd));
        continue;
      }
      const choice = this.#choice;
      const { deltas } = happened.kind === "token" ? choice.push(happened) : choice.end(happened);
      for (const delta of deltas) text += this.#add(delta);
      if (happened.kind === "end") text += this.#closeLast();
    }
    return text;
  }

  #add(delta: AnswerDelta): string {
    const kind = kinds[delta.kind];
    let events = "";
    let item = this.#items.at(-1);
    if (delta.kind === "call" || item?.kind !== kind) {
      events = this.#closeLast();
      const { id: callId, name } = delta.kind === "call" ? delta : { id: "", name: "" };
      item = { kind, id: newId(prefixes[kind]), callId, name, text: "" };
      this.#items.push(item);
      events += this.#event("response.output_item.added", {
        output_index: this.#items.length - 1,
        item: itemObject(item, "in_progress"),
      });
      if (kind !== "function_call") {
        events += this.#event("response.content_part.added", {
          ...this.#place(item),
          part: partOf({ ...item, text: "" }),
        });
      }
    }
    if (delta.kind === "call" || delta.text === "") return events;
    item.text += delta.text;
    const fields = { ...this.#place(item), delta: delta.text };
    return (
      events + this.#event(eventNames[kind].delta, kind === "message" ? { ...fields, logprobs: [] } : fields)
    );
  }

  #closeLast(): string {
    const item = this.#items.at(-1);
    if (!item) return "";
    const { kind, text } = item;
    const place = this.#place(item);
    const done = eventNames[kind].done;
    const output_index = this.#items.length - 1;
    const status = this.#choice.finish === "length" ? "incomplete" : "completed";
    let events: string;
    if (kind === "function_call") events = this.#event(done, { ...place, arguments: text });
    else {
      events = this.#event(done, kind === "message" ? { ...place, text, logprobs: [] } : { ...place, text });
      events += this.#event("response.content_part.done", { ...place, part: partOf(item) });
    }
    return (
      events + this.#event("response.output_item.done", { output_index, item: itemObject(item, status) })
    );
  }

  #place({ kind, id }: Item) {
    const place = { item_id: id, output_index: this.#items.length - 1 };
    return kind === "function_call" ? place : { ...place, content_index: 0 };
  }

  #response(status: "in_progress" | "completed" | "incomplete") {
    const isOver = status !== "in_progress";
    const { promptTokens, cachedTokens, tokens } = this.#usage;
    const last = this.#items.length - 1;
    return {
      id: this.#id,
      object: "response",
      created_at: this.#created,
      status,
      background: false,
      error: null,
      incomplete_details: status === "incomplete" ? { reason: "max_output_tokens" } : null,
      model: this.#options.facts.id,
      output: isOver ? this.#items.map((item, i) => itemObject(item, i === last ? status : "completed")) : [],
      previous_response_id: null,
      service_tier: "default",
      store: false,
      truncation: "disabled",
      usage: isOver
        ? {
            input_tokens: promptTokens,
            input_tokens_details: { cached_tokens: cachedTokens },
            output_tokens: tokens,
            output_tokens_details: { reasoning_tokens: 0 },
            total_tokens: promptTokens + tokens,
          }
        : null,
      ...this.#options.repeated,
    };
  }
}

function partOf({ kind, text }: Item) {
  if (kind === "reasoning") return { type: "reasoning_text", text };
  return { type: "output_text", text, annotations: [], logprobs: [] };
}

function itemObject(item: Item, status: string) {
  const { kind: type, id, callId, name, text } = item;
  if (type === "function_call") return { type, id, call_id: callId, name, arguments: text, status };
  const content = status === "in_progress" ? [] : [partOf(item)];
  if (type === "reasoning") return { type, id, summary: [], content, status };
  return { type, id, role: "assistant", content, status };
}
