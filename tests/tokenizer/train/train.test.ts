// Whole trainings: options, errors, and the same bytes each time.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Tokenizer, TokenizerError, UnsupportedError, UsageError } from "../../../src/tokenizer.ts";
import {
  type SentencePieceOptions,
  type TrainOptions,
  trainTokenizer,
} from "../../../src/tokenizer_train.ts";
import { itShared, sharedBytes, sharedJson } from "../../support/shared.ts";

/** Lines of made-up words, the shorter the more frequent, and of what is special. */
function makeText(): string {
  const syllables = ["ka", "lo", "mi", "ren", "tus", "ver", "sch", "ö", "é", "ing", "Be", "X"];
  let seed = 99;
  const random = (below: number) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
  const word = () => {
    const length = 1 + Math.min(random(4), random(4));
    return Array.from({ length }, () => syllables[Math.min(random(12), random(12))]).join("");
  };
  const lines = Array.from({ length: 250 }, () => Array.from({ length: 1 + random(12) }, word).join(" "));
  return `${lines.join(".\n")}\nthe fox, a fox: fox 12 and 345${" 1234".repeat(40)}\n日本語の文章です。日本語の本です。\n`;
}

const text = makeText();

type Options = Partial<Omit<SentencePieceOptions, "modelType">> & Pick<TrainOptions, "modelType">;

async function train(options: Options) {
  const trained = await trainTokenizer({ corpus: [text], vocabSize: 120, ...options } as TrainOptions);
  return { ...trained, tokenizer: await Tokenizer.load(trained.bytes) };
}

async function pieces(options: Options): Promise<string[]> {
  const { tokenizer } = await train(options);
  return Array.from({ length: tokenizer.vocabSize }, (_, id) => tokenizer.piece(id));
}

const modelTypes = ["unigram", "bpe", "byte-bpe"] as const;
const sizes = { unigram: 120, bpe: 120, "byte-bpe": 320 };

interface Botchan {
  readonly bpe: { vocab: string[]; tokens_of_corpus: number };
  readonly unigram: { vocab: [string, number][]; tokens_of_corpus: number };
}

describe("trainTokenizer() beside SentencePiece", () => {
  const files = ["conformance/spm_train_botchan.json", "text/botchan.txt"];
  const botchan = () => sharedBytes("text/botchan.txt");
  const expected = () => sharedJson<Botchan>("conformance/spm_train_botchan.json");

  /** Tokens of all lines, as spm_encode counts them. */
  function countTokens(tokenizer: Tokenizer): number {
    const lines = new TextDecoder("utf-8", { ignoreBOM: true }).decode(botchan()).split("\n");
    return lines.reduce((sum, line) => sum + tokenizer.encode(line, { bos: false }).length, 0);
  }

  itShared(files, "bpe learns the same pieces and encodes to the same number of tokens", async () => {
    const { tokenizer } = await train({
      ...({ corpus: [botchan()], modelType: "bpe", vocabSize: 1000, characterCoverage: 1 } as const),
      ...({ byteFallback: true, splitDigits: true, normalization: "identity" } as const),
    });
    // The reference was read line by line: a piece with a carriage return is two there, what is before and after.
    const learned = Array.from({ length: 1000 }, (_, id) => tokenizer.piece(id)).flatMap((piece) =>
      piece === "\r" ? ["", ""] : piece.split("\r"),
    );
    const { vocab, tokens_of_corpus } = expected().bpe;
    const reference = vocab.flatMap((piece, i) =>
      piece === "" && vocab[i - 1] === "y" ? ["", ""] : [piece],
    );
    assert.deepEqual(learned, reference);
    assert.equal(countTokens(tokenizer), tokens_of_corpus);
  });

  itShared(files, "unigram learns the same pieces and encodes to the same number of tokens", async () => {
    const { tokenizer } = await train({
      ...({ corpus: [botchan()], modelType: "unigram", vocabSize: 1000, characterCoverage: 1 } as const),
    });
    const { vocab, tokens_of_corpus } = expected().unigram;
    assert.deepEqual(
      Array.from({ length: 1000 }, (_, id) => tokenizer.piece(id)),
      vocab.map(([piece]) => piece),
    );
    assert.equal(countTokens(tokenizer), tokens_of_corpus);
  });
});

describe("trainTokenizer()", () => {
  for (const modelType of modelTypes) {
    it(`${modelType}: makes a vocabulary of the size asked for, which writes the corpus shorter`, async () => {
      const vocabSize = sizes[modelType];
      const { tokenizer, vocabSize: size, skipped } = await train({ modelType, vocabSize });
      assert.equal(size, vocabSize);
      assert.equal(tokenizer.vocabSize, vocabSize);
      assert.deepEqual(skipped, { tooLong: 0, reserved: 0 });
      for (const line of text.trimEnd().split("\n").slice(0, 20)) {
        const ids = tokenizer.encode(line, { bos: false });
        assert.ok(ids.length < 0.9 * new TextEncoder().encode(line).length, line);
        assert.equal(tokenizer.decode(ids), line);
      }
    });

    it(`${modelType}: gives the same bytes however the corpus is cut, and other bytes for another`, async () => {
      const vocabSize = sizes[modelType];
      const bytes = new TextEncoder().encode(text);
      const whole = await train({ modelType, vocabSize });
      for (const corpus of [text.split(""), Array.from(bytes, (byte) => Uint8Array.of(byte)), [bytes]]) {
        assert.deepEqual((await train({ modelType, vocabSize, corpus })).bytes, whole.bytes);
      }
      const other = await train({ modelType, vocabSize, corpus: [text.replaceAll("ka", "wolf")] });
      assert.notDeepEqual(other.bytes, whole.bytes);
    });

    it(`${modelType}: says the largest vocabulary that the corpus gives, and makes it`, async () => {
      const error = await assertRefused(
        { modelType, vocabSize: 100_000 },
        TokenizerError,
        /at most (\d+), .*got 100000/,
      );
      const most = Number(/at most (\d+)/.exec(error.message)?.[1]);
      assert.equal((await train({ modelType, vocabSize: most })).vocabSize, most);
      assert.equal((await train({ modelType, vocabSize: 100_000, hardVocabLimit: false })).vocabSize, most);
    });

    it(`${modelType}: refuses a corpus without text`, async () => {
      for (const corpus of [
        [],
        [""],
        [new Uint8Array(0)],
        modelType === "byte-bpe" ? [] : ["\n\n", " \n \n"],
      ]) {
        await assertRefused(
          { modelType, corpus, vocabSize: 300 },
          TokenizerError,
          /^Cannot train: Expected text to learn from/,
        );
      }
    });

    it(`${modelType}: takes NUL, lone surrogates and invalid UTF-8`, async () => {
      const corpus = ["a\0b \ud800c\n", "a\0b\n", Uint8Array.of(0x61, 0xff, 0x20, 0xc3, 0x0a), text];
      const { tokenizer, vocabSize } = await train({
        modelType,
        vocabSize: 400,
        corpus,
        hardVocabLimit: false,
      });
      assert.ok(vocabSize > 60);
      assert.ok(tokenizer.encode("a\0b", { bos: false }).length > 0);
    });

    it(`${modelType}: ends with the signal's reason`, async () => {
      const reason = new Error("enough");
      const early = AbortSignal.abort(reason);
      await assert.rejects(train({ modelType, vocabSize: 300, signal: early }), (error) => error === reason);
      const late = new AbortController();
      const stages: string[] = [];
      const onProgress = ({ stage, done }: { stage: string; done: number | undefined }) => {
        stages.push(stage);
        assert.ok(done === undefined || (done >= 0 && done <= 1), `${stage} ${done}`);
        if (stage === "writing") late.abort(reason);
      };
      const options = { modelType, vocabSize: sizes[modelType], signal: late.signal, onProgress };
      await assert.rejects(train(options), (error) => error === reason);
      assert.equal(stages[0], "reading");
      assert.equal(stages.at(-1), "writing");
    });

    it(`${modelType}: closes the corpus and passes its error on`, async () => {
      const failure = new Error("cannot read on");
      let closed = false;
      async function* corpus() {
        try {
          yield text;
          throw failure;
        } finally {
          closed = true;
        }
      }
      await assert.rejects(
        train({ modelType, vocabSize: 300, corpus: corpus() }),
        (error) => error === failure,
      );
      assert.ok(closed);
    });
  }

  it("gives these bytes in every runtime", async () => {
    const hashes: Record<string, string> = {
      unigram: "7fb36c66dcd82c50",
      bpe: "83ff833acc4fadee",
      "byte-bpe": "043f86e67a6c6c33",
    };
    for (const modelType of modelTypes) {
      const { bytes } = await train({ modelType, vocabSize: sizes[modelType] });
      const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
      const hash = Array.from(digest.subarray(0, 8), (byte) => byte.toString(16).padStart(2, "0")).join("");
      assert.equal(hash, hashes[modelType], modelType);
    }
  });

  it("learns nothing from text that nothing can be learned from", async () => {
    const bare = { normalization: "identity", addDummyPrefix: false, removeExtraWhitespaces: false } as const;
    for (const modelType of ["unigram", "bpe"] as const) {
      const learned = async (line: string) => {
        const { vocabSize } = await train({ modelType, corpus: [line], hardVocabLimit: false, ...bare });
        return vocabSize - 3;
      };
      assert.equal(await learned("\0\0"), 0);
      assert.equal(await learned("<s>"), 0);
      assert.equal(await learned("\t\t"), 0);
      assert.equal(await learned("a"), 1);
      assert.equal(await learned("▁▁"), 1);
    }
  });

  it("refuses settings outside of their intervals", async () => {
    const refused: [Record<string, unknown>, RegExp][] = [
      [{ modelType: "wordpiece" }, /modelType to be one of unigram, bpe, byte-bpe, got wordpiece/],
      [{ corpus: 5 }, /corpus to be iterable, got number/],
      [{ corpus: undefined }, /corpus to be iterable, got undefined/],
      [{ vocabSize: 0 }, /vocabSize to be an integer from 1/],
      [{ vocabSize: 1.5 }, /vocabSize to be an integer/],
      [{ vocabSize: 2 ** 40 }, /vocabSize to be an integer from 1 to 1048576/],
      [{ vocabSize: Number.NaN }, /vocabSize/],
      [{ vocabSize: "100" }, /vocabSize/],
      [{ characterCoverage: 0.5 }, /characterCoverage to be a number from 0.98 to 1, got 0.5/],
      [{ maxPieceLength: 0 }, /maxPieceLength/],
      [{ maxSentenceLength: -1 }, /maxSentenceLength/],
      [{ shrinkingFactor: 1 }, /shrinkingFactor/],
      [{ subIterations: 0 }, /subIterations/],
      [{ seedSize: 0 }, /seedSize/],
      [{ normalization: "nfd" }, /normalization to be one of identity, nfkc/],
      [{ unkId: -1 }, /unkId/],
      [{ userDefinedSymbols: [""] }, /userDefinedSymbols/],
      [{ controlSymbols: ["a\0"] }, /controlSymbols/],
      [{ requiredChars: "\ud800" }, /requiredChars/],
      [{ vocabSize: 2 }, /at least 3, the number of special tokens, got 2/],
      [{ padId: 500 }, /ids of special tokens to be below/],
      [{ modelType: "byte-bpe", vocabSize: 255 }, /vocabSize to be an integer from 256/],
    ];
    for (const [options, message] of refused) {
      await assertRefused({ modelType: "bpe", ...options } as Options, UsageError, message);
    }
    await assertRefused(
      { modelType: "byte-bpe", vocabSize: 300, pattern: "no such" } as Options,
      UnsupportedError,
      /no such/,
    );
  });

  it("refuses a vocabulary too small for the characters, and says what it takes", async () => {
    for (const modelType of ["unigram", "bpe"] as const) {
      const error = await assertRefused(
        { modelType, vocabSize: 20 },
        TokenizerError,
        /at least (\d+) \(\d+ characters/,
      );
      const least = Number(/at least (\d+)/.exec(error.message)?.[1]);
      assert.equal((await train({ modelType, vocabSize: least })).vocabSize, least);
    }
  });

  it("leaves out lines that are too long, and counts them", async () => {
    const long = "x".repeat(10_000_000);
    const corpus = [`${long}\n`, text, `${"é".repeat(2097)}\n`, `a ${"é".repeat(2095)}\n`, "ab\u2585c\n"];
    for (const modelType of ["unigram", "bpe"] as const) {
      const { skipped } = await train({ modelType, corpus });
      assert.deepEqual(skipped, { tooLong: 2, reserved: 1 });
      assert.ok(!(await pieces({ modelType, corpus })).some((piece) => piece.includes("xx")));
    }
    await assertRefused(
      { modelType: "bpe", corpus: [long] },
      TokenizerError,
      /got 1 lines of more than 4192 bytes/,
    );
  });

  it("learns from a line of one letter, of spaces, of emoji and of digits", async () => {
    for (const character of ["a", " ", "😀", "1"]) {
      const corpus = [character.repeat(100_000)];
      const common = { corpus, vocabSize: 270, hardVocabLimit: false };
      const lines = { maxSentenceLength: 1 << 24, removeExtraWhitespaces: false };
      const sizes = await Promise.all(
        modelTypes.map(async (modelType) => {
          const options = modelType === "byte-bpe" ? common : { ...common, ...lines };
          return (await train({ modelType, ...options })).vocabSize;
        }),
      );
      assert.ok(sizes[0]! > 3 && sizes[1]! > 3 && sizes[2]! > 257, `${character} ${sizes}`);
    }
  });

  it("makes pieces of what coverage and required characters say", async () => {
    const rare = [`${text.repeat(40)}Ж\n`];
    const all = await pieces({ modelType: "bpe", corpus: rare, characterCoverage: 1 });
    assert.ok(all.includes("Ж"));
    assert.ok(!(await pieces({ modelType: "bpe", corpus: rare })).includes("Ж"));
    assert.ok((await pieces({ modelType: "bpe", corpus: rare, requiredChars: "ЖЩ" })).includes("Щ"));
    const { tokenizer } = await train({ modelType: "bpe", corpus: rare, byteFallback: true, vocabSize: 400 });
    assert.equal(tokenizer.decode(tokenizer.encode("Ж fox", { bos: false })), "Ж fox");
  });

  it("keeps special symbols whole and learns nothing across them", async () => {
    const corpus = [text.replaceAll("fox", "<f>")];
    for (const modelType of ["unigram", "bpe"] as const) {
      const { tokenizer } = await train({
        modelType,
        corpus,
        userDefinedSymbols: ["<f>"],
        controlSymbols: ["<c>"],
      });
      assert.equal(tokenizer.piece(3), "<c>");
      assert.equal(tokenizer.piece(4), "<f>");
      const ids = tokenizer.encode("a <f><c>", { bos: false });
      assert.ok(ids.includes(4) && !ids.includes(3), `${ids}`);
      const learned = Array.from({ length: tokenizer.vocabSize - 5 }, (_, i) => tokenizer.piece(i + 5));
      assert.ok(!learned.some((piece) => /[<>]/.test(piece)));
    }
  });

  it("obeys the settings that shape pieces", async () => {
    const bpe = (options: Partial<Options>) =>
      pieces({ modelType: "bpe", vocabSize: 150, hardVocabLimit: false, ...options });
    assert.ok((await bpe({})).some((piece) => /\d\d/.test(piece)));
    assert.ok(!(await bpe({ splitDigits: true })).some((piece) => /\d\d|▁\d/.test(piece)));
    assert.ok(!(await bpe({})).some((piece) => /.▁/.test(piece)));
    assert.ok((await bpe({ splitByWhitespace: false })).some((piece) => /.▁./.test(piece)));
    assert.ok(
      (await bpe({ maxPieceLength: 2 })).every((piece) => piece.length <= 2 || piece.startsWith("<")),
    );
    assert.ok((await bpe({ normalization: "nmt_nfkc_cf" })).every((piece) => piece === piece.toLowerCase()));
    const spaced = [text.replaceAll(" ", "    ")];
    const options = { corpus: spaced, removeExtraWhitespaces: false, allowWhitespaceOnlyPieces: true };
    assert.ok((await bpe(options)).some((piece) => /^▁▁+$/.test(piece)));
    const { tokenizer } = await train({ modelType: "bpe", addDummyPrefix: false });
    assert.notEqual(tokenizer.piece(tokenizer.encode("The", { bos: false })[0] as number)[0], "▁");
  });

  it("gives byte-level vocabularies of which every text comes back", async () => {
    const { tokenizer } = await train({ modelType: "byte-bpe", vocabSize: 400, hardVocabLimit: false });
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 40 }), (sample) => {
        assert.equal(tokenizer.decode(tokenizer.encode(sample)), sample.toWellFormed());
      }),
    );
  });

  it("learns byte-level tokens that the pattern allows, from blocks of a large text", async () => {
    const corpus = Array.from(
      { length: 600 },
      (_, i) => `line ${i} of many, ${"words ".repeat(300)}\n\nend.\n`,
    );
    const { bytes } = await train({ modelType: "byte-bpe", vocabSize: 300, corpus });
    const tokens = new TextDecoder()
      .decode(bytes)
      .trimEnd()
      .split("\n")
      .map((line) => atob(line.split(" ")[0] as string));
    assert.equal(tokens.length, 300);
    assert.equal(new Set(tokens).size, 300);
    assert.deepEqual(tokens.slice(0, 2), ["!", '"']);
    assert.ok(tokens.includes(" words"));
    assert.ok(
      tokens.every((token) => !/\S /.test(token)),
      "no token goes from one word into the next",
    );
  });
});

async function assertRefused(
  options: Options,
  type: new (message: string) => Error,
  message: RegExp,
): Promise<Error> {
  let refused: unknown;
  await assert.rejects(train(options), (error) => {
    refused = error;
    assert.ok(error instanceof type, `${error}`);
    assert.match(error.message, message);
    return true;
  });
  return refused as Error;
}
