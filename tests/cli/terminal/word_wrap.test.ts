// Lines that break between words, however the text comes.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { WordWrap } from "../../../src/cli/terminal/word_wrap.ts";

/** The lines that a terminal shows of what was written. */
function shown(written: string): string[] {
  const lines = [""];
  const rest = written.replaceAll("\x1b[K", "");
  for (let i = 0; i < rest.length; i++) {
    const [move = "", columns] = (rest[i] === "\x1b" && /^.\[(\d+)D/.exec(rest.slice(i))) || [];
    const last = lines.length - 1;
    const line = lines[last] as string;
    if (move !== "") {
      lines[last] = line.slice(0, line.length - Number(columns));
      i += move.length - 1;
    } else if (rest[i] === "\n") lines.push("");
    else lines[last] = line + rest[i];
  }
  return lines;
}

/** Text in pieces of `n` characters on a terminal of `columns`. */
function wrapped(text: string, columns: number, n: number): string[] {
  const wrap = new WordWrap(() => columns);
  let written = "";
  for (let i = 0; i < text.length; i += n) written += wrap.push(text.slice(i, i + n));
  return shown(written);
}

describe("WordWrap", () => {
  it("moves words that reach the edge, in any pieces", () => {
    for (let n = 1; n < 30; n++) {
      assert.deepEqual(wrapped("one two three four", 10, n), ["one two ", "three ", "four"]);
      assert.deepEqual(wrapped("a\nb  c\n\n  d", 10, n), ["a", "b  c", "", "  d"]);
      assert.deepEqual(wrapped("12345678 1", 9, n), ["12345678", "1"]);
      assert.deepEqual(wrapped("123456789 1", 10, n), ["123456789", "1"]);
      assert.deepEqual(wrapped("a\tb", 10, n), ["a\tb"]);
    }
  });

  it("leaves words that are longer than a line to the terminal", () => {
    assert.deepEqual(wrapped("x 1234567890abc y", 8, 3), ["x ", "1234567890abc", "y"]);
  });

  it("breaks between wide characters", () => {
    assert.deepEqual(wrapped("日本語です", 7, 1), ["日本語", "です"]);
    assert.deepEqual(wrapped("ab日本", 5, 2), ["ab日", "本"]);
  });

  it("begins anew where it is told to", () => {
    const wrap = new WordWrap(() => 8);
    assert.equal(wrap.push("one tw"), "one tw");
    wrap.reset();
    assert.equal(wrap.push("o three"), "o three");
  });
});
