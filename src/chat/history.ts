// Which part of a conversation fits the context: whole turns are left out, the oldest first.
import { ContextError } from "../util/errors.ts";
import type { Message } from "./messages.ts";

/** A prompt as a template gives it. */
export interface ChatPrompt {
  readonly text: string;
  readonly ids: readonly number[];
}

/** What goes into the context. */
export interface FittedHistory {
  readonly messages: readonly Message[];
  readonly prompt: ChatPrompt;
  /** Messages that were left out, the oldest first. */
  readonly dropped: readonly Message[];
}

/** Who may stand before the first turn, and is never left out. */
const heads: readonly string[] = ["system", "developer"];

/** How many messages stand before the first turn. */
export function headLength(messages: readonly Message[]): number {
  const end = messages.findIndex(({ role }) => !heads.includes(role));
  return end < 0 ? messages.length : end;
}

/** Where the last turn begins: at the last message of the user; -1 if there is none. */
export function lastTurn(messages: readonly Message[]): number {
  return messages.findLastIndex(({ role }) => role === "user");
}

/**
 * The conversation, if its prompt leaves room for an answer of `room` tokens; else without its oldest turns. A turn is a
 * message of the user and all that follows it. Messages of the system that stand first stay, and so does the last turn.
 * What is left then is at most three quarters of what would fit: a prompt whose beginning changes has to be computed anew, so
 * this must not happen at each turn.
 * @throws ContextError if the last turn alone fills the context; what `render` throws
 */
export function fitHistory(
  messages: readonly Message[],
  contextLength: number,
  room: number,
  render: (messages: readonly Message[]) => ChatPrompt,
): FittedHistory {
  const head = headLength(messages);
  const without = (begin: number): FittedHistory => {
    const rest = begin === head ? messages : [...messages.slice(0, head), ...messages.slice(begin)];
    return { messages: rest, prompt: render(rest), dropped: messages.slice(head, begin) };
  };
  const whole = without(head);
  const limit = contextLength - room;
  if (whole.prompt.ids.length <= limit) return whole;
  const begins = turnBegins(messages, head);
  const last = begins.length === 0 ? whole : without(begins.at(-1) as number);
  if (last.prompt.ids.length >= contextLength) {
    throw new ContextError(
      `Cannot answer: Expected a prompt of at most ${contextLength - 1} tokens, got ${last.prompt.ids.length} for the last turn ` +
        `alone (context length ${contextLength}); load the model with a larger contextLength, or send less`,
    );
  }
  const within = (most: number) => firstFit(begins.slice(0, -1), without, most);
  return within(Math.floor((limit * 3) / 4)) ?? within(limit) ?? last;
}

/** Where turns begin that may be the first that stays. */
function turnBegins(messages: readonly Message[], head: number): number[] {
  const all = messages.flatMap(({ role }, i) => (role === "user" && i > head ? [i] : []));
  // What stands before the first message of the user belongs to its turn.
  return messages[head]?.role === "user" ? all : all.slice(1);
}

/** The longest rest whose prompt has at most `most` tokens, by bisection. */
function firstFit(
  begins: readonly number[],
  without: (begin: number) => FittedHistory,
  most: number,
): FittedHistory | undefined {
  let found: FittedHistory | undefined;
  let low = 0;
  let high = begins.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const tried = without(begins[middle] as number);
    if (tried.prompt.ids.length <= most) {
      found = tried;
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return found;
}
