import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ProgressLine } from "../../src/cli/progress.ts";

function fakeStream(isTTY: boolean | undefined) {
  const written: string[] = [];
  return { isTTY, written, write: (text: string) => written.push(text) };
}

describe("ProgressLine", () => {
  it("redraws one line on a terminal and takes it away", () => {
    const stream = fakeStream(true);
    const line = new ProgressLine(stream, "loading a.gguf");
    line.update({ loadedBytes: 0, totalBytes: 3_000_000 });
    line.update({ loadedBytes: 1_500_000, totalBytes: 3_000_000 });
    line.update({ loadedBytes: 3_000_000, totalBytes: 3_000_000 });
    line.clear();
    assert.deepEqual(stream.written, [
      "\rloading a.gguf   0% of 3.0 MB\x1b[K",
      "\rloading a.gguf  50% of 3.0 MB\x1b[K",
      "\rloading a.gguf 100% of 3.0 MB\x1b[K",
      "\r\x1b[K",
    ]);
  });

  it("writes only when the percentage changes", () => {
    const stream = fakeStream(true);
    const line = new ProgressLine(stream, "loading");
    for (let i = 0; i < 1000; i++) line.update({ loadedBytes: i, totalBytes: 100_000 });
    assert.equal(stream.written.length, 1);
  });

  it("is silent on anything but a terminal", () => {
    for (const isTTY of [false, undefined]) {
      const stream = fakeStream(isTTY);
      const line = new ProgressLine(stream, "loading");
      line.update({ loadedBytes: 1, totalBytes: 2 });
      line.clear();
      assert.deepEqual(stream.written, []);
    }
  });

  it("has nothing to take away where nothing was drawn", () => {
    const stream = fakeStream(true);
    new ProgressLine(stream, "loading").clear();
    assert.deepEqual(stream.written, []);
  });

  it("takes a model without weights for loaded", () => {
    const stream = fakeStream(true);
    new ProgressLine(stream, "loading").update({ loadedBytes: 0, totalBytes: 0 });
    assert.deepEqual(stream.written, ["\rloading 100% of 0.0 MB\x1b[K"]);
  });

  it("shows how far a download has come, where one goes on and its size is known", () => {
    const stream = fakeStream(true);
    const line = new ProgressLine(stream, "loading");
    line.update({ loadedBytes: 0, totalBytes: 0, download: { receivedBytes: 1e6, totalBytes: 4e6 } });
    line.update({ loadedBytes: 9e5, totalBytes: 3e6, download: { receivedBytes: 2e6, totalBytes: 4e6 } });
    line.update({ loadedBytes: 0, totalBytes: 0, download: { receivedBytes: 1e6, totalBytes: undefined } });
    line.update({
      loadedBytes: 3e6,
      totalBytes: 3e6,
      download: { receivedBytes: 9e6, totalBytes: undefined },
    });
    assert.deepEqual(stream.written, [
      "\rloading  25% of 4.0 MB\x1b[K",
      "\rloading  50% of 4.0 MB\x1b[K",
      "\rloading 100% of 3.0 MB\x1b[K",
    ]);
  });

  it("keeps the line whole whatever the title", () => {
    const stream = fakeStream(true);
    new ProgressLine(stream, `loading ${"x".repeat(300)}\n.gguf`).update({ loadedBytes: 1, totalBytes: 1 });
    const line = stream.written.join("").replace("\r", "").replace("\x1b[K", "");
    assert.doesNotMatch(line, /\p{Cc}/u);
    assert.ok(line.length < 80, line);
  });
});
