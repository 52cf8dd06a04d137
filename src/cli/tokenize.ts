// `cria tokenize`: prints what a text is as tokens.
import { Tokenizer } from "../tokenizer.ts";
import { command } from "./command.ts";
import {
  ArgumentError,
  describeFlags,
  type FlagValues,
  helpFlag,
  switchFlag,
  textFlag,
} from "./flags/args.ts";
import { findText, readText, textFlags } from "./input/text_input.ts";
import { withNameHint } from "./model_name.ts";
import { writeOut } from "./terminal/output.ts";

const flags = {
  model: textFlag("--model", "FILE|URL", "tokenizer, or model that has one", {
    aliases: ["-m"],
    isFile: true,
  }),
  ...textFlags,
  pattern: textFlag(
    "--pattern",
    "NAME",
    "how a tiktoken rank file splits texts, such as gpt-2 or cl100k_base",
  ),
  ids: switchFlag("--ids", "print ids (the default)"),
  pieces: switchFlag("--pieces", "print pieces, as the vocabulary spells them"),
  count: switchFlag("--count", "print the number of tokens"),
  bos: switchFlag("--bos", "begin with the BOS token"),
  eos: switchFlag("--eos", "end with the EOS token"),
  special: switchFlag("--special", "read special tokens such as <s> in the text; otherwise they are text"),
  help: helpFlag,
};

type Values = FlagValues<typeof flags>;

const help = `Usage: cria tokenize --model FILE [flags] [text]

Prints the tokens of a text on one line, separated by spaces. Without a text, or with "-", it is standard input,
to its end, line ends and all, but without a byte order mark; bytes that are not UTF-8 count as U+FFFD. What
follows "--" is never a flag.

FILE is a SentencePiece model, a tiktoken rank file, a Hugging Face tokenizer.json, llama2.c's tokenizer.bin or a
GGUF model. In pieces, spaces, control characters and backslashes are written as \\x20, \\n, \\\\ and the like.

Flags:
${describeFlags(flags)}
Exit status: 0; 1 for a failure; 2 for wrong usage.
A reader that closes standard output early ends the command with 0.
`;

/** `cria tokenize`: prints what a text is as tokens. */
export const tokenizeCommand = command({
  name: "tokenize",
  summary: "print the tokens of a text",
  help,
  flags,
  async run({ values, operands }) {
    checkUsage(values);
    const input = findText("text", { operands, ...values });
    const tokenizer = await load(values);
    const { bos = false, eos = false, special = false } = values;
    const ids = tokenizer.encode(await readText(input), { bos, eos, special });
    await writeOut(`${format(ids, tokenizer, values)}\n`);
    return 0;
  },
});

function checkUsage(values: Values): void {
  if (values.model === undefined) throw new ArgumentError("Cannot tokenize: Expected --model FILE, got none");
  const { ids, pieces, count } = flags;
  const outputs = [values.ids && ids, values.pieces && pieces, values.count && count].filter(
    (flag) => !!flag,
  );
  if (outputs.length > 1) {
    const given = outputs.map(({ flag }) => flag).join(" and ");
    throw new ArgumentError(`Expected one of --ids, --pieces and --count, got ${given}`);
  }
}

async function load({ model, pattern }: Values): Promise<Tokenizer> {
  try {
    return await Tokenizer.load(model as string, { pattern });
  } catch (error) {
    throw await withNameHint(error, model);
  }
}

function format(ids: readonly number[], tokenizer: Tokenizer, { pieces, count }: Values): string {
  if (count) return String(ids.length);
  if (pieces) return ids.map((id) => escapePiece(tokenizer.piece(id))).join(" ");
  return ids.join(" ");
}

const escapes: Readonly<Record<string, string>> = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** A piece whose spaces and control characters are visible. */
function escapePiece(piece: string): string {
  return piece.replace(/[\\\s\p{C}]/gu, (character) => {
    const code = (character.codePointAt(0) as number).toString(16);
    return escapes[character] ?? (code.length < 3 ? `\\x${code.padStart(2, "0")}` : `\\u{${code}}`);
  });
}
