// The SDK's settings as options of a generation, and warnings about those that have no effect.
import type { SamplingOptions } from "../sample/registry.ts";
import type { CallOptions, CallWarning } from "./protocol.ts";

/** What a call asks for, besides messages and tools. */
export interface Settings {
  readonly maxTokens: number | undefined;
  readonly stop: readonly string[];
  readonly sampling: SamplingOptions;
  /** Variables of the chat template. */
  readonly variables: Readonly<Record<string, unknown>>;
  readonly warnings: CallWarning[];
}

/** Settings of the SDK that are samplers' options here. */
const SAMPLING = ["temperature", "topP", "topK", "seed", "presencePenalty", "frequencyPenalty"] as const;
/** Levels of reasoning, as templates with levels name them. */
const EFFORTS = new Map([
  ["minimal", "low"],
  ["low", "low"],
  ["medium", "medium"],
  ["high", "high"],
  ["xhigh", "high"],
  ["max", "high"],
]);

/** Settings of a call. `providerOptions.cria` has other options of samplers, and `variables` of the chat template. */
export function settingsOf(options: CallOptions): Settings {
  const { variables = {}, ...own } = (options.providerOptions?.cria ?? {}) as Record<string, unknown>;
  const sampling: Record<string, unknown> = { ...own };
  for (const name of SAMPLING) if (options[name] !== undefined) sampling[name] = options[name];
  const { reasoning = "provider-default" } = options;
  const effort = EFFORTS.get(reasoning);
  return {
    maxTokens: options.maxOutputTokens,
    stop: options.stopSequences ?? [],
    sampling: sampling as SamplingOptions,
    variables: {
      ...(reasoning === "none" && { enable_thinking: false }),
      ...(effort !== undefined && { enable_thinking: true, reasoning_effort: effort }),
      ...(variables as Record<string, unknown>),
    },
    warnings: warningsOf(options),
  };
}

function warningsOf({ responseFormat, toolChoice, tools = [] }: CallOptions): CallWarning[] {
  const warnings: CallWarning[] = [];
  const warn = (feature: string, details: string) => warnings.push({ type: "unsupported", feature, details });
  if (responseFormat && responseFormat.type !== "text") {
    warn("responseFormat", "The answer is not held to JSON; ask for it in the prompt, and check it.");
  }
  if (toolChoice?.type === "required" || toolChoice?.type === "tool") {
    warn("toolChoice", "The model decides itself whether it calls a tool, and which.");
  }
  for (const { type, name } of tools) {
    if (type !== "function") warn(`tool ${name}`, "Tools of other providers cannot be called.");
  }
  return warnings;
}
