// A chat in a pipe: one message in a line, one answer out, and nothing else on standard output.
import process from "node:process";
import { SourceError } from "../../util/errors.ts";
import { withoutByteOrderMark } from "../input/decode_text.ts";
import { stdinParts, tooLong } from "../input/stdin.ts";
import { ClosedPipe, writeErr } from "../terminal/output.ts";
import { canRedraw, columnsOf } from "../terminal/terminal.ts";
import { WordWrap } from "../terminal/word_wrap.ts";
import { endText, showAnswer, speedText } from "./answer_view.ts";
import { type ChatStart, trimText } from "./terminal_chat.ts";

/** No context holds a message of this size. */
const MAX_LINE_BYTES = 16 << 20;

/** Answers each line of standard input. Returns the exit status. @throws what the first message throws that is refused */
export async function chatInPipe(start: ChatStart, signal: AbortSignal): Promise<number> {
  const { llama } = start;
  using chat = llama.chat({
    ...start.chat,
    onTrim: (dropped) => void writeErr(`warning: ${trimText(dropped)}\n`),
  });
  const isTerminal = process.stdout.isTTY === true;
  const wrap = canRedraw(process.stdout) ? new WordWrap(() => columnsOf(process.stdout)) : undefined;
  try {
    for await (const line of stdinLines()) {
      if (line.trim() === "") continue;
      const pieces = chat.send(line, { ...start.send, signal });
      const whole = await showAnswer(pieces, { isTerminal, wrap, aside: undefined });
      const end = endText(whole);
      if (end !== undefined) await writeErr(`warning: the answer was ${end}\n`);
      if (start.showsStats) await writeErr(`${speedText(whole, llama.contextLength)}\n`);
    }
    // Ctrl-C ends what writes the pipe too.
    signal.throwIfAborted();
    return 0;
  } catch (error) {
    if (error instanceof ClosedPipe) return 0;
    throw error;
  }
}

/** Lines of standard input without their ends, each as soon as it is there. */
async function* stdinLines(): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let rest = "";
  let isFirst = true;
  for await (const part of stdinParts("messages", 'a message a line: echo "Hello" | cria chat')) {
    const bytes = isFirst ? withoutByteOrderMark(part, "standard input") : part;
    isFirst = false;
    const lines = (rest + decoded(decoder, bytes)).split("\n");
    rest = lines.pop() as string;
    if (rest.length > MAX_LINE_BYTES)
      throw new SourceError(tooLong("a message from standard input", MAX_LINE_BYTES));
    for (const line of lines) yield line.replace(/\r$/, "");
  }
  rest += decoded(decoder);
  if (rest !== "") yield rest.replace(/\r$/, "");
}

function decoded(decoder: TextDecoder, bytes?: Uint8Array): string {
  try {
    return bytes ? decoder.decode(bytes, { stream: true }) : decoder.decode();
  } catch (cause) {
    throw new SourceError("Cannot read standard input: Expected UTF-8 text", { cause });
  }
}
