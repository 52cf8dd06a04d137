// Computes ratios and tables from speeds. Pure functions.
import { significant } from "../../report.ts";
import type { Row } from "./measure.ts";

/** The measurements of one runtime. */
export interface Measured {
  /** "bun 1.4.5". */
  readonly runtime: string;
  readonly rows: readonly Row[];
  /** Code points of each text. */
  readonly characters: Readonly<Record<string, number>>;
  readonly llama3LoadMs?: number;
  readonly skipped: readonly string[];
}

/** A ratio and its target. */
export interface Check {
  readonly runtime: string;
  readonly what: string;
  readonly value: number;
  readonly bound: "≥" | "≤";
  readonly target: number;
  readonly met: boolean;
}

const CRIA = "cria";
const JSON_FILE = "cria, tokenizer.json";

/** Smallest wanted ratio of speeds, cria ÷ a peer. */
const factors: Readonly<Record<string, { readonly of: string; readonly target: number }>> = {
  tiktoken: { of: CRIA, target: 1 },
  "gpt-tokenizer": { of: CRIA, target: 2.5 },
  "llama-tokenizer-js": { of: CRIA, target: 20 },
  "@huggingface/tokenizers": { of: JSON_FILE, target: 5 },
};
/** Largest wanted ratio of times, hard text ÷ English, per byte. */
const HARD_LIMIT = 5;
const LOAD_LIMIT_MS = 150;

function check(runtime: string, what: string, value: number, bound: Check["bound"], target: number): Check {
  return {
    runtime,
    what,
    value: significant(value, 3),
    bound,
    target,
    met: bound === "≥" ? value >= target : value <= target,
  };
}

function peerChecks(runtime: string, { vocabulary, text, mbPerS }: Row): Check[] {
  return Object.entries(factors).flatMap(([peer, { of, target }]) => {
    const ours = mbPerS[of];
    const theirs = mbPerS[peer];
    if (ours === undefined || theirs === undefined) return [];
    return [check(runtime, `${vocabulary}, ${text}: ${of} ÷ ${peer}`, ours / theirs, "≥", target)];
  });
}

function hardChecks(runtime: string, { vocabulary, text, mbPerS, englishMbPerS = {} }: Row): Check[] {
  return Object.entries(englishMbPerS).map(([name, english]) => {
    const what = `${vocabulary}, ${text}: time of ${name} ÷ English`;
    return check(runtime, what, english / (mbPerS[name] as number), "≤", HARD_LIMIT);
  });
}

/** Every ratio of a run with its target. */
export function checksOf({ runtime, rows, llama3LoadMs }: Measured): Check[] {
  const load =
    llama3LoadMs === undefined
      ? []
      : [check(runtime, "loading Llama 3's vocabulary, ms", llama3LoadMs, "≤", LOAD_LIMIT_MS)];
  return [
    ...rows.flatMap((row) => peerChecks(runtime, row)),
    ...rows.flatMap((row) => hardChecks(runtime, row)),
    ...load,
  ];
}

function markdownTable(lines: readonly (readonly (string | number)[])[]): string {
  const [head, ...rest] = lines as [readonly string[], ...(readonly (string | number)[])[]];
  return [head, head.map(() => "---"), ...rest].map((line) => `| ${line.join(" | ")} |`).join("\n");
}

/** Speeds, and the number of tokens or words of each text. */
export function speedTable({ rows, characters }: Measured): string {
  const lines = rows.flatMap(({ vocabulary, text, mbPerS, tokens }) =>
    Object.keys(mbPerS).map((name) => {
      const units = tokens[name] as number;
      const perUnit = text in characters ? significant((characters[text] as number) / units, 3) : "";
      return [vocabulary, text, name, significant(mbPerS[name] as number, 3), units, perUnit];
    }),
  );
  const head = ["vocabulary", "text", "encoder", "MB/s", "tokens or words", "characters each"];
  return markdownTable([head, ...lines]);
}

/** The ratios, by runtime. */
export function ratioTable(checks: readonly Check[]): string {
  const lines = checks.map(({ runtime, what, value, bound, target, met }) => [
    runtime,
    what,
    value,
    `${bound} ${target}: ${met ? "met" : "**missed**"}`,
  ]);
  return markdownTable([["runtime", "what", "value", "target"], ...lines]);
}
