// Chat messages and tools as OpenAI has them: a prompt may be messages.

/** A part of a message's content. Only text is understood. */
export interface ContentPart {
  readonly type: "text";
  readonly text: string;
}

/** A call of a tool that the model has written. */
export interface ToolCall {
  readonly id?: string;
  readonly type?: "function";
  readonly function: {
    readonly name: string;
    /** JSON text, as OpenAI has it, or the object itself. */
    readonly arguments: string | Readonly<Record<string, unknown>>;
  };
}

/** A message of a conversation. */
export interface Message {
  /** "system", "user", "assistant", "tool"; a template may know others ("developer"). */
  readonly role: string;
  readonly content?: string | readonly ContentPart[] | null;
  readonly name?: string;
  /** What the model thought before it answered; some templates show it. */
  readonly reasoning_content?: string | null;
  readonly tool_calls?: readonly ToolCall[];
  /** Of a message with role "tool": the call that it is the result of. */
  readonly tool_call_id?: string;
}

/** A function that the model may call. */
export interface Tool {
  readonly type: "function";
  readonly function: {
    readonly name: string;
    readonly description?: string;
    /** JSON Schema of its arguments. */
    readonly parameters?: Readonly<Record<string, unknown>>;
    readonly strict?: boolean | null;
  };
}
