// What a server counts, in the text format of Prometheus.
//
// Source: Prometheus, "Exposition formats", version 0.0.4.
import type { ModelStatus } from "../model.ts";

// Seconds; above the last there is +Inf.
const BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

class Histogram {
  readonly #counts: number[] = BOUNDS.map(() => 0);
  #count = 0;
  #sum = 0;

  observe(seconds: number, times = 1): void {
    this.#count += times;
    this.#sum += seconds * times;
    const at = BOUNDS.findIndex((bound) => seconds <= bound);
    if (at >= 0) (this.#counts[at] as number) += times;
  }

  lines(name: string): string[] {
    let below = 0;
    const buckets = BOUNDS.map((bound, i) => {
      below += this.#counts[i] as number;
      return `${name}_bucket{le="${bound}"} ${below}`;
    });
    return [
      ...buckets,
      `${name}_bucket{le="+Inf"} ${this.#count}`,
      `${name}_sum ${this.#sum}`,
      `${name}_count ${this.#count}`,
    ];
  }
}

interface Metric {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  lines(name: string): readonly string[];
}

/** Counts of a server. */
export class Metrics {
  /** Seconds from a request to the begin of its prompt. */
  readonly queue = new Histogram();
  /** Seconds from a request to its first token. */
  readonly firstToken = new Histogram();
  /** Seconds between two tokens of an answer. */
  readonly betweenTokens = new Histogram();
  /** Streams that ended with an error. */
  brokenStreams = 0;
  /** Jobs whose client has left. */
  aborted = 0;
  readonly #requests = new Map<string, number>();

  /** Counts an answered request. Only routes that exist are named, so that clients make no new lines. */
  request(route: string, status: number): void {
    const key = `route="${route}",status="${status}"`;
    this.#requests.set(key, (this.#requests.get(key) ?? 0) + 1);
  }

  /** All of it as text. @param status what the model says; undefined while there is none */
  text(status: ModelStatus | undefined): string {
    const blocks = this.#metrics(status).map((metric) => {
      const name = `cria_${metric.name}`;
      const { help, type } = metric;
      return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...metric.lines(name)];
    });
    return `${blocks.flat().join("\n")}\n`;
  }

  #metrics(status: ModelStatus | undefined): Metric[] {
    const { totals, slots = [], waiting = 0, kvPages = { used: 0, total: 0 } } = status ?? {};
    const { promptTokens = 0, cachedTokens = 0, tokens = 0, steps = 0 } = totals ?? {};
    return [
      {
        name: "requests_total",
        type: "counter",
        help: "Requests by route and status.",
        lines: (name) => [...this.#requests].map(([labels, n]) => `${name}{${labels}} ${n}`),
      },
      counter("prompt_tokens_total", "Tokens of prompts, cached ones too.", promptTokens),
      counter("prompt_tokens_cached_total", "Tokens of prompts that were not computed again.", cachedTokens),
      counter("tokens_predicted_total", "Generated tokens.", tokens),
      counter("steps_total", "Steps of the engine.", steps),
      counter("streams_broken_total", "Streams that ended with an error.", this.brokenStreams),
      counter("requests_aborted_total", "Generations that ended because nobody read them.", this.aborted),
      gauge("model_ready", "Whether a model is loaded.", status?.state === "ready" ? 1 : 0),
      gauge("requests_processing", "Sequences that compute.", slots.filter(({ busy }) => busy).length),
      gauge("requests_deferred", "Requests that wait.", waiting),
      gauge("slots", "Sequences that may compute at once.", slots.length),
      gauge("kv_pages_used", "Pages of keys and values in use.", kvPages.used),
      gauge("kv_pages", "Pages of keys and values that there is memory for.", kvPages.total),
      histogram("queue_seconds", "Time from a request to the begin of its prompt.", this.queue),
      histogram("time_to_first_token_seconds", "Time from a request to its first token.", this.firstToken),
      histogram("inter_token_seconds", "Time between two tokens of an answer.", this.betweenTokens),
    ];
  }
}

function counter(name: string, help: string, value: number): Metric {
  return { name, help, type: "counter", lines: (full) => [`${full} ${value}`] };
}

function gauge(name: string, help: string, value: number): Metric {
  return { name, help, type: "gauge", lines: (full) => [`${full} ${value}`] };
}

function histogram(name: string, help: string, values: Histogram): Metric {
  return { name, help, type: "histogram", lines: (full) => values.lines(full) };
}
