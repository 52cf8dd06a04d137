// Messages of the library as the command line says them.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { chatCommand } from "../../../src/cli/chat.ts";
import { nameFlags } from "../../../src/cli/flags/flag_names.ts";
import { generateCommand } from "../../../src/cli/generate.ts";
import { tokenizeCommand } from "../../../src/cli/tokenize.ts";
import { trainTokenizerCommand } from "../../../src/cli/train_tokenizer.ts";
import { Llama } from "../../../src/mod.ts";
import { trainTokenizer } from "../../../src/tokenizer_train.ts";

function generate(message: string, ...args: string[]): string {
  return nameFlags(message, generateCommand.flags, args);
}

async function messageOf(failing: Promise<unknown>): Promise<string> {
  return failing.then(
    () => "no error",
    (error: Error) => error.message,
  );
}

describe("nameFlags()", () => {
  it("names flags wherever a name can only be an option", () => {
    assert.equal(
      generate(
        "Cannot load with contextLength 2048: Expected at most 512 (the model's context); ropeScaling reaches beyond it",
      ),
      "Cannot load with --context 2048: Expected at most 512 (the model's context); --rope-scaling reaches beyond it",
    );
    assert.equal(generate("raise maxBytes, or lower contextLength."), "raise --memory, or lower --context.");
    assert.equal(
      generate("Cannot sample: Expected integer topK in [0, 5]"),
      "Cannot sample: Expected integer --top-k in [0, 5]",
    );
    assert.equal(
      nameFlags("a lower characterCoverage, or hardVocabLimit", trainTokenizerCommand.flags, []),
      "a lower --character-coverage, or --soft-vocab-limit",
    );
  });

  it("leaves words that are options elsewhere", () => {
    for (const message of [
      "Cannot load a.gguf: Expected a tokenizer in the file, got none",
      "Cannot open the model: its memory and cache stop at seed 3 with 4 threads",
      "Cannot generate: Expected a prompt of at most 16 tokens (the context length), got 51",
      "Cannot read x: Expected a pattern that ends",
    ]) {
      for (const { flags } of [generateCommand, tokenizeCommand, trainTokenizerCommand]) {
        assert.equal(nameFlags(message, flags, []), message);
      }
    }
  });

  it("names options that are words too where messages put options", () => {
    assert.equal(
      generate("Cannot load with threads 0: Expected 1"),
      "Cannot load with --threads 0: Expected 1",
    );
    assert.equal(
      generate('Cannot load with sha256 "12": Expected'),
      'Cannot load with --sha256 "12": Expected',
    );
    assert.equal(
      generate("Without the option threads some start; load with threads: 1, where none does"),
      "Without the option --threads some start; load with --threads 1, where none does",
    );
    assert.equal(
      generate("Cannot generate: Expected stop to be a string"),
      "Cannot generate: Expected --stop to be a string",
    );
    assert.equal(
      generate("Cannot sample: Expected temperature in [0, 1]"),
      "Cannot sample: Expected --temperature in [0, 1]",
    );
    assert.equal(
      generate("name one with the tokenizer option (--tokenizer FILE)"),
      "name one with --tokenizer FILE",
    );
    assert.equal(
      nameFlags("use another one (chatTemplate, --chat-template FILE)", chatCommand.flags, []),
      "use another one (--chat-template FILE)",
    );
  });

  it("leaves names of files, with and without their folders", () => {
    const message =
      "Cannot load topK: Expected less, got contextLength.gguf, a/seed-maxTokens.bin and topP/x";
    assert.equal(generate(message, "-m", "models/topK"), message);
    assert.equal(
      generate("Cannot load maxTokens: Expected topK", "--model=maxTokens"),
      "Cannot load maxTokens: Expected --top-k",
    );
    assert.equal(
      generate("Cannot load with contextLength 9: no", "c", "e", "9", "(*"),
      "Cannot load with --context 9: no",
    );
  });

  it("names the flag of every option that a command passes on", async () => {
    const errors = await Promise.all([
      messageOf(Llama.load(undefined, { contextLength: 1e6 })),
      messageOf(Llama.load(undefined, { threads: 0 })),
      messageOf(Llama.load(undefined, { kv: "f8" as "f16" })),
      messageOf(Llama.load(undefined, { precision: "f8" as "q8" })),
    ]);
    assert.deepEqual(
      errors.map((message) => /--[a-z-]+/.exec(generate(message))?.[0]),
      ["--context", "--threads", "--kv", "--precision"],
      errors.join("\n"),
    );
  });

  it("names the flag of every setting of training", async () => {
    const corpus = ["a text to learn from\n"];
    const settings = {
      vocabSize: 0,
      characterCoverage: 2,
      maxPieceLength: 0,
      maxSentenceLength: 0,
      seedSize: 0,
      shrinkingFactor: 2,
      subIterations: 0,
      unkId: -5,
      bosId: -5,
      eosId: -5,
      padId: -5,
      normalization: "none",
      userDefinedSymbols: ["a\0"],
      controlSymbols: ["a\0"],
      requiredChars: "\ud800",
    };
    for (const [name, value] of Object.entries(settings)) {
      const options = { corpus, modelType: "unigram", vocabSize: 30, [name]: value } as never;
      const message = await messageOf(trainTokenizer(options));
      const { flag } = trainTokenizerCommand.flags[name] as { flag: string };
      assert.ok(nameFlags(message, trainTokenizerCommand.flags, []).includes(`${flag} `), message);
    }
  });
});
