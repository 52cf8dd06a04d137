// Biases of single tokens.
import { UsageError } from "../util/errors.ts";
import type { SamplerSpec } from "./spec.ts";

/** The bias that bans a token. */
const BAN = -100;
const MOST = 100;

/** Options of {@link logitBias}. */
export interface LogitBiasOptions {
  /** Added to the logits of ids: in [-100, 100], and -100 bans an id at any temperature. 100 nearly always forces it. */
  logitBias: Readonly<Record<number, number>>;
}

/**
 * Adds to the logits of some ids; -100 makes one impossible.
 * Source: OpenAI's `logit_bias`.
 */
export const logitBias: SamplerSpec<LogitBiasOptions> = {
  name: "logit_bias",
  acts: "logits",
  params: [
    {
      kind: "value",
      key: "logitBias",
      flag: "--logit-bias",
      valueName: "ID=B,...",
      help: `add B to the logits of token ids; ${BAN} bans one, ${MOST} forces it`,
      openai: "logit_bias",
      expected: `ids and their biases in [${BAN}, ${MOST}], {"5": ${BAN}} for instance`,
      default: {},
      read: readBiases,
      parse: parseBiases,
    },
  ],
  create({ logitBias: biases }, { vocabSize }) {
    const entries = Object.entries(biases).map(([id, bias]) => [Number(id), bias] as const);
    if (entries.length === 0) return undefined;
    for (const [id] of entries) {
      if (id < vocabSize) continue;
      throw new UsageError(`Cannot sample: Expected ids of logitBias in [0, ${vocabSize}), got ${id}`);
    }
    return {
      apply(candidates) {
        for (const [id, bias] of entries) {
          candidates.setLogit(id, bias === BAN ? -Infinity : candidates.logit(id) + bias);
        }
      },
    };
  },
};

function readBiases(value: unknown): Record<string, number> | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const biases: Record<string, number> = {};
  for (const [id, bias] of Object.entries(value)) {
    const isId = /^(0|[1-9]\d{0,9})$/.test(id);
    if (!isId || typeof bias !== "number" || !(bias >= BAN && bias <= MOST)) return undefined;
    biases[id] = bias;
  }
  return biases;
}

// "5=-100,7=2.5"
function parseBiases(text: string): unknown {
  const pairs = text.split(",").map((pair) => /^(\d+)=([+-]?(?:\d+\.?\d*|\.\d+))$/.exec(pair));
  if (!pairs.every((pair) => pair !== null)) return undefined;
  return readBiases(Object.fromEntries(pairs.map(([, id, bias]) => [Number(id), Number(bias)])));
}
