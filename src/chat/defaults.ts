// What a model's chats default to, if its file cannot say it.

/** What a chat takes if its caller does not say. */
export interface ChatDefaults {
  /** Most tokens of an answer; undefined: to the end of the context. */
  readonly maxTokens?: number;
}

const none: ChatDefaults = {};

// By `general.name`. GGUF has no key for these.
const known: ReadonlyMap<string, ChatDefaults> = new Map([
  // One story in ten does not end: its card says to set a limit.
  ["tales-chat", { maxTokens: 220 }],
]);

/** The defaults of a model by the name that its file gives it. */
export function chatDefaults(name: string | undefined): ChatDefaults {
  return (name !== undefined && known.get(name)) || none;
}
