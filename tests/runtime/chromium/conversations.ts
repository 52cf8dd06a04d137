// Conversations with one model, alone or all at once: the same code runs in a page's worker and here.
import { type Chat, Llama, type LoadOptions, type SendOptions } from "../../../src/mod.ts";

/** A conversation: what is said, and how each of it is answered. */
interface Script {
  readonly system?: string;
  readonly turns: readonly string[];
  readonly options: SendOptions;
  /** Tokens after which somebody leaves the second answer. */
  readonly leaveAfter?: number;
}

/** Eight that have little in common: lengths, samplers, seeds, stops, one that is left in the middle. */
const scripts: readonly Script[] = [
  {
    turns: ["Tell me a story about a dog named Rex.", "Another one, please.", "Thank you."],
    options: { temperature: 0, maxTokens: 60 },
  },
  {
    turns: ["Hello! Who are you?", "Tell me a story about a king.", "Go on."],
    options: { seed: 3, maxTokens: 50 },
  },
  {
    system: "You are Rose, a storyteller.",
    turns: ["Who are you?", "A story about a bear, please.", "Who was the story about?"],
    options: { seed: 4, temperature: 1.1, topK: 0, topP: 1, minP: 0.05, maxTokens: 45 },
  },
  {
    turns: ["Tell me a funny story about a robot and a cake.", "Again!", "Good night."],
    options: { seed: 5, repeatPenalty: 1.2, maxTokens: 70 },
  },
  {
    turns: ["Please tell me a bedtime story about a little bear.", "What is the moral?", "Goodbye."],
    options: { seed: 6, stop: [" was", ". The"], maxTokens: 80 },
  },
  {
    turns: ["Can you write a short story with the words tree, happy and jump?", "And a sad one.", "Thanks."],
    options: { seed: 7, maxTokens: 64 },
    leaveAfter: 9,
  },
  { turns: ["Hi", "Hi", "Hi"], options: { seed: 8, temperature: 2, maxTokens: 20 } },
  {
    turns: ["Continue this story: Once upon a time, a mouse", "Go on.", "Go on."],
    options: { seed: 9, topK: 5, maxTokens: 30, logprobs: 3 },
  },
];

/** What one conversation came to. */
export interface Talk {
  /** Texts of the answers. */
  readonly texts: readonly string[];
  /** Ids of each answer's tokens. */
  readonly ids: readonly (readonly number[])[];
}

/** What all came to. */
export interface Talks {
  readonly talks: readonly Talk[];
  /** How many conversations had a token before the first one ended. */
  readonly atOnce: number;
}

/** Most conversations that have begun and not ended. */
class Overlap {
  readonly #begun = new Set<number>();
  most: number | undefined;

  begin(script: number): void {
    this.#begun.add(script);
  }

  end(): void {
    this.most ??= this.#begun.size;
  }
}

async function talk(llama: Llama, index: number, overlap: Overlap): Promise<Talk> {
  const { system, turns, options, leaveAfter } = scripts[index] as Script;
  using chat = llama.chat(system === undefined ? {} : { system });
  const texts: string[] = [];
  const ids: number[][] = [];
  for (const [i, said] of turns.entries()) {
    const most = i === 1 ? leaveAfter : undefined;
    const answer = await listen(chat, said, options, most, () => overlap.begin(index));
    texts.push(answer.text);
    ids.push(answer.ids);
  }
  overlap.end();
  return { texts, ids };
}

async function listen(
  chat: Chat,
  said: string,
  options: SendOptions,
  most = Number.POSITIVE_INFINITY,
  onToken: () => void,
): Promise<{ text: string; ids: number[] }> {
  let text = "";
  const ids: number[] = [];
  for await (const piece of chat.send(said, options)) {
    onToken();
    text += piece.text;
    if (piece.id !== undefined) ids.push(piece.id);
    if (ids.length >= most) break;
  }
  return { text, ids };
}

/** Holds all conversations over one model, one after the other or all at once. */
export async function holdAll(model: Uint8Array, atOnce: boolean, options: LoadOptions = {}): Promise<Talks> {
  await using llama = await Llama.load(model, options);
  const overlap = new Overlap();
  const talks: Talk[] = [];
  const all = scripts.map((_, i) => i);
  if (atOnce) talks.push(...(await Promise.all(all.map((i) => talk(llama, i, overlap)))));
  else for (const i of all) talks.push(await talk(llama, i, overlap));
  return { talks, atOnce: overlap.most ?? 0 };
}
