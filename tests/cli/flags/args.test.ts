// Flags: what is read, what is refused, what the help says.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  ArgumentError,
  bytesFlag,
  choiceFlag,
  describeFlags,
  helpFlag,
  listFlag,
  numberFlag,
  oneLine,
  parseArgs,
  show,
  switchFlag,
  textFlag,
} from "../../../src/cli/flags/args.ts";
import { UsageError } from "../../../src/util/errors.ts";

const count = { integer: true, min: 0, max: Number.MAX_SAFE_INTEGER };

const flags = {
  model: textFlag("--model", "FILE", "which model", { aliases: ["-m"] }),
  topK: numberFlag("--top-k", "K", "how many", count, { aliases: ["-k", "--keep"] }),
  topP: numberFlag("--top-p", "P", "which share", { integer: false, min: 0, max: 1, exclusiveMin: true }),
  temperature: numberFlag("--temperature", "T", "how hot", { integer: false, min: 0, max: Infinity }),
  offset: numberFlag("--offset", "N", "anything", { integer: false, min: -Infinity, max: Infinity }),
  ratio: numberFlag("--ratio", "R", "any but 0", {
    integer: false,
    min: 0,
    max: Infinity,
    exclusiveMin: true,
  }),
  kv: choiceFlag("--kv", ["f32", "f16", "q8"], "which type"),
  memory: bytesFlag("--memory", "how much"),
  stop: listFlag("--stop", "TEXT", "where to end"),
  stats: switchFlag("--stats", "whether to count"),
  help: helpFlag,
};

function parse(...args: string[]) {
  return parseArgs(args, flags);
}

function message(...args: string[]): string {
  try {
    parse(...args);
  } catch (error) {
    assert.ok(error instanceof ArgumentError && error instanceof UsageError);
    return error.message;
  }
  return "no error";
}

describe("parseArgs()", () => {
  it("reads nothing from nothing", () => {
    assert.deepEqual(parse(), { values: {}, operands: [] });
  });

  it("reads values after a space and after =", () => {
    const values = { model: "a.gguf", topK: 3 };
    assert.deepEqual(parse("--model", "a.gguf", "--top-k", "3"), { values, operands: [] });
    assert.deepEqual(parse("--model=a.gguf", "--top-k=3"), { values, operands: [] });
  });

  it("splits at the first = only", () => {
    assert.equal(parse("--model=a=b").values.model, "a=b");
    assert.equal(parse("--stop==").values.stop?.[0], "=");
  });

  it("reads switches, also by their short name", () => {
    assert.deepEqual(parse("--stats", "-h").values, { stats: true, help: true });
  });

  it("reads every spelling of a flag", () => {
    for (const args of [["--top-k", "5"], ["--keep", "5"], ["--keep=5"], ["-k", "5"], ["-k=5"], ["-k5"]]) {
      assert.deepEqual(parse(...args), { values: { topK: 5 }, operands: [] }, args.join(" "));
    }
    assert.equal(parse("-ma=b.gguf").values.model, "a=b.gguf");
    assert.equal(parse("-k", "1", "--top-k=2", "--keep", "3").values.topK, 3);
  });

  it("takes a long flag with one dash for a mistake, not for a letter and its value", () => {
    assert.equal(message("-model", "x"), "Unknown flag -model: did you mean --model?");
    assert.equal(message("-keep=5"), "Unknown flag -keep: did you mean --keep?");
    assert.equal(message("-keeep=5"), "Unknown flag -keeep: did you mean --keep?");
    assert.equal(message("-hx"), "Unknown flag -hx");
  });

  it("names the flag, however it was spelled, and keeps what its value must be", () => {
    const expected = "Cannot read --top-k: Expected an integer ≥ 0, got";
    assert.equal(message("-k", "x"), `${expected} x`);
    assert.equal(message("-k=x"), `${expected} x`);
    assert.equal(message("-k-1"), `${expected} -1`);
    assert.equal(message("-k1.5"), `${expected} 1.5`);
  });

  it("keeps operands in order, between flags too", () => {
    const { values, operands } = parse("one", "--stats", "two", "--top-k", "5", "-", "");
    assert.deepEqual(operands, ["one", "two", "-", ""]);
    assert.deepEqual(values, { stats: true, topK: 5 });
  });

  it("ends flags at --", () => {
    assert.deepEqual(parse("--stats", "--", "--help", "-x", "--"), {
      values: { stats: true },
      operands: ["--help", "-x", "--"],
    });
  });

  it("takes a value that begins with one dash", () => {
    assert.equal(parse("--offset", "-1").values.offset, -1);
    assert.deepEqual(parse("--stop", "-").values.stop, ["-"]);
  });

  it("takes the last of several values, and all of a list", () => {
    assert.equal(parse("--top-k", "1", "--top-k=2", "--top-k", "3").values.topK, 3);
    assert.deepEqual(parse("--stop", "a", "--stop=b", "--stop", "a").values.stop, ["a", "b", "a"]);
  });

  it("refuses unknown flags and names the nearest", () => {
    assert.equal(message("--temprature", "1"), "Unknown flag --temprature: did you mean --temperature?");
    assert.equal(message("--topk=1"), "Unknown flag --topk: did you mean --top-k?");
    assert.equal(message("--frobnicate"), "Unknown flag --frobnicate");
    assert.equal(message("-x"), "Unknown flag -x");
    assert.equal(message("--__proto__"), "Unknown flag --__proto__");
    assert.equal(message("--temper"), "Unknown flag --temper: did you mean --temperature?");
    assert.equal(
      message("- a list"),
      'Unknown flag - a list; a text that begins with a dash is written after "--"',
    );
  });

  it("refuses a missing value", () => {
    assert.equal(message("--top-k"), "Cannot read --top-k: Expected a value after it");
    assert.equal(
      message("--top-k", "--stats"),
      "Cannot read --top-k: Expected a value after it, got --stats; " +
        "a value that begins with dashes is written --top-k=VALUE",
    );
    assert.deepEqual(parse("--stop=--stats").values.stop, ["--stats"]);
    assert.match(message("-m", "-k", "5"), /^Cannot read --model: Expected a value after it, got -k; /);
  });

  it("refuses a value for a switch", () => {
    assert.equal(message("--stats=yes"), "Cannot read --stats: Expected no value, got yes");
    assert.equal(message("--stats="), "Cannot read --stats: Expected no value, got nothing");
  });

  it("refuses an empty text", () => {
    assert.equal(message("--model="), "Cannot read --model: Expected FILE, got nothing");
    assert.equal(message("--stop", ""), "Cannot read --stop: Expected TEXT, got nothing");
  });
});

describe("numberFlag()", () => {
  it("reads decimal numbers", () => {
    for (const [text, value] of [
      ["0", 0],
      ["0.8", 0.8],
      [".5", 0.5],
      ["1.", 1],
      ["1e3", 1000],
      ["2.5E-1", 0.25],
      ["+7", 7],
    ] as const) {
      assert.equal(parse("--temperature", text).values.temperature, value, text);
    }
    assert.equal(parse("--top-k", "0").values.topK, 0);
    assert.equal(parse("--top-k", "9007199254740991").values.topK, Number.MAX_SAFE_INTEGER);
  });

  it("refuses what is no number", () => {
    for (const text of [
      "abc",
      "1x",
      "0x10",
      "1_000",
      " 1",
      "1 ",
      "NaN",
      "Infinity",
      "1e999",
      "--1",
      ".",
      "e1",
      "٣",
    ]) {
      const got = message(`--temperature=${text}`);
      assert.equal(got, `Cannot read --temperature: Expected a number ≥ 0, got ${text}`);
    }
  });

  it("refuses fractions and inexact numbers for integers", () => {
    for (const text of ["abc", "1.5", "1e3", "-1", "9007199254740992", "99999999999999999999999"]) {
      const got = message("--top-k", text);
      assert.equal(got, `Cannot read --top-k: Expected an integer ≥ 0, got ${text}`);
    }
  });

  it("refuses numbers outside the interval and says it", () => {
    assert.equal(parse("--top-p", "1").values.topP, 1);
    assert.equal(message("--top-p", "0"), "Cannot read --top-p: Expected a number in (0, 1], got 0");
    assert.equal(message("--top-p", "1.01"), "Cannot read --top-p: Expected a number in (0, 1], got 1.01");
    assert.equal(message("--ratio", "0"), "Cannot read --ratio: Expected a number > 0, got 0");
    assert.equal(message("--offset", "x"), "Cannot read --offset: Expected a number, got x");
  });
});

describe("choiceFlag()", () => {
  it("reads one of its words only", () => {
    assert.equal(parse("--kv", "f16").values.kv, "f16");
    assert.equal(message("--kv", "F16"), "Cannot read --kv: Expected one of f32, f16, q8, got F16");
    assert.equal(message("--kv="), "Cannot read --kv: Expected one of f32, f16, q8, got nothing");
  });
});

describe("bytesFlag()", () => {
  it("reads bytes with binary units", () => {
    for (const [text, bytes] of [
      ["1", 1],
      ["1000000", 1e6],
      ["3K", 3072],
      ["512M", 512 * 2 ** 20],
      ["2G", 2 ** 31],
      ["1.5g", 1.5 * 2 ** 30],
    ] as const) {
      assert.equal(parse("--memory", text).values.memory, bytes, text);
    }
  });

  it("refuses everything else", () => {
    for (const text of ["0", "0M", "0.4", "M", "1T", "1MB", "-1", "1e9", "1.", "99999999G"]) {
      const got = message("--memory", text);
      assert.equal(got, `Cannot read --memory: Expected bytes such as 512M or 2G, got ${text}`);
    }
  });
});

describe("describeFlags()", () => {
  it("gives each flag a line, aligned", () => {
    const { topK, kv, help } = flags;
    assert.equal(
      describeFlags({ topK, kv, help }),
      [
        "  -k, --top-k K    how many (also --keep)\n",
        "  --kv f32|f16|q8  which type\n",
        "  -h, --help       print this\n",
      ].join(""),
    );
  });
});

describe("show()", () => {
  it("quotes on one line, shortened", () => {
    assert.equal(show(""), "nothing");
    assert.equal(show("a b"), "a b");
    assert.equal(show("a\nb\x1b[2J"), "a\\x0ab\\x1b[2J");
    assert.equal(show("x".repeat(60)), "x".repeat(60));
    assert.equal(show("x".repeat(61)), `${"x".repeat(60)}…`);
  });
});

describe("oneLine()", () => {
  it("spells control characters out", () => {
    assert.equal(oneLine("a\r\nb\0\x7f\x9b"), "a\\x0d\\x0ab\\x00\\x7f\\x9b");
    assert.equal(oneLine("é≥ 語"), "é≥ 語");
  });
});
