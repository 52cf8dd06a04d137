// Suite: text to ids and back, with the embedded model's vocabulary and with Llama 2's.
import { readFileSync } from "node:fs";
import { Tokenizer } from "../src/mod.ts";
import { embeddedModel } from "./models.ts";
import { sharedPath } from "./shared.ts";
import { runSuites, type Suite } from "./suite.ts";

const GENERATED_WORDS = 40_000;
const SYLLABLES = ["ba", "ron", "te", "li", "ska", "mu", "ne", "vo", "ing", "er", "qua", "phe"];

/** Sentences of random words of one to four syllables, the same in every run. */
export function generatedText(words: number): string {
  let state = 1;
  const next = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const word = () => Array.from({ length: 1 + next(4) }, () => SYLLABLES[next(SYLLABLES.length)]).join("");
  return Array.from({ length: words }, () => word() + (next(12) === 0 ? "." : "")).join(" ");
}

export const tokenizer: Suite = {
  name: "tokenizer",
  about: "A whole text in each call. MB/s counts its UTF-8 bytes, for encoding and for decoding.",
  async run(session) {
    const path = sharedPath("text/botchan.txt");
    const text = path ? readFileSync(path, "utf8") : generatedText(GENERATED_WORDS);
    const textBytes = new TextEncoder().encode(text).length;
    const source = path ? "botchan.txt" : "generated text";
    if (!path) session.skip("botchan.txt", "../shared/text is absent, so a generated text replaces it");
    const llama2 = sharedPath("vocabs/llama2-tokenizer.model");
    if (!llama2) session.skip("Llama 2's vocabulary", "../shared/vocabs is absent");
    const vocabularies = [
      { name: "tales", file: embeddedModel },
      ...(llama2 ? [{ name: "llama2", file: llama2 }] : []),
    ];
    for (const { name, file } of vocabularies) {
      const vocabulary = await Tokenizer.load(file);
      const ids = vocabulary.encode(text);
      const shape = `${vocabulary.vocabSize} pieces, ${source}`;
      const work = { textBytes, tokens: ids.length };
      await session.measure({ name: `${name} encode`, shape, work, call: () => vocabulary.encode(text) });
      await session.measure({ name: `${name} decode`, shape, work, call: () => vocabulary.decode(ids) });
      await session.measure({
        name: `${name} streaming decode`,
        shape,
        work,
        call: () => {
          const stream = vocabulary.stream();
          let out = "";
          for (const id of ids) out += stream.push(id);
          return out + stream.flush();
        },
      });
    }
  },
};

if (import.meta.main) await runSuites([tokenizer]);
