// Chat messages and tools as OpenAI has them: what a chat, a template and a server take.
export type { ContentPart, Message, Tool, ToolCall } from "../session/messages.ts";
