// BPE beside SentencePiece: corpora that are used up, and bytes that are no text.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { Tokenizer, TokenizerError } from "../../../../src/tokenizer.ts";
import { type SentencePieceOptions, trainTokenizer } from "../../../../src/tokenizer_train.ts";

interface Case {
  readonly title: string;
  /** A character for each byte. */
  readonly corpus: string;
  readonly vocabSize: number;
  readonly options: Partial<SentencePieceOptions>;
  readonly pieces?: readonly string[];
  readonly most?: number;
  readonly least?: number;
}

const { cases }: { cases: readonly Case[] } = JSON.parse(
  readFileSync(new URL("sentencepiece_bpe.json", import.meta.url), "utf8"),
);

/** Unknown, BOS and EOS. */
const SPECIALS = 3;

async function learn(
  { vocabSize, options }: Pick<Case, "vocabSize" | "options">,
  corpus: readonly Uint8Array[],
): Promise<string[]> {
  const trained = await trainTokenizer({ modelType: "bpe", corpus, vocabSize, ...options });
  const tokenizer = await Tokenizer.load(trained.bytes);
  assert.equal(trained.vocabSize, tokenizer.vocabSize);
  return Array.from({ length: tokenizer.vocabSize }, (_, id) => tokenizer.piece(id)).slice(SPECIALS);
}

describe("trainTokenizer() of type bpe, beside SentencePiece", () => {
  const titles = [...new Set(cases.map(({ title }) => title))];
  for (const title of titles) {
    it(`learns its pieces, or refuses with its sizes: ${title}`, async () => {
      for (const expected of cases.filter((other) => other.title === title)) {
        const bytes = Uint8Array.from(expected.corpus, (byte) => byte.charCodeAt(0));
        const what = `vocabulary of ${expected.vocabSize}`;
        if (expected.pieces !== undefined) {
          assert.deepEqual(await learn(expected, [bytes]), expected.pieces, what);
          const single = Array.from(bytes, (byte) => Uint8Array.of(byte));
          assert.deepEqual(await learn(expected, single), expected.pieces, `${what}, byte by byte`);
          continue;
        }
        const limit =
          expected.most === undefined ? `at least ${expected.least} ` : `at most ${expected.most},`;
        await assert.rejects(learn(expected, [bytes]), (error) => {
          assert.ok(error instanceof TokenizerError, `${error}`);
          assert.ok(error.message.includes(`Expected vocabSize to be ${limit}`), `${what}: ${error.message}`);
          return true;
        });
      }
    });
  }

  it("gives the largest vocabulary that it names, where all pairs are learned", async () => {
    const corpus = [new TextEncoder().encode("she sells sea shells\non the sea shore\n")];
    let most = 0;
    await assert.rejects(learn({ vocabSize: 5000, options: {} }, corpus), ({ message }: Error) => {
      most = Number(/at most (\d+)/.exec(message)?.[1]);
      return most > 0;
    });
    const pieces = await learn({ vocabSize: most, options: {} }, corpus);
    assert.equal(pieces.length + SPECIALS, most);
    assert.equal(new Set(pieces).size, pieces.length);
    assert.deepEqual(await learn({ vocabSize: 5000, options: { hardVocabLimit: false } }, corpus), pieces);
    await assert.rejects(learn({ vocabSize: most + 1, options: {} }, corpus), TokenizerError);
  });

  it("reads each byte of broken UTF-8 as U+FFFD, and U+FFFD of a text as a space, by default", async () => {
    const options = { hardVocabLimit: false };
    const broken = await learn({ vocabSize: 100, options }, [Uint8Array.of(0x61, 0xe3, 0x81, 0x62)]);
    assert.deepEqual(broken.slice(-4), ["\ufffd", "a", "b", "▁"], `${broken}`);
    const text = await learn({ vocabSize: 100, options }, [new TextEncoder().encode("a\ufffdb")]);
    assert.ok(!text.includes("\ufffd"), `${text}`);
  });
});
