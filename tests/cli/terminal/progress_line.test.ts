// What is said about work that takes long: when, how often and in how many columns.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ProgressLine, timeText } from "../../../src/cli/terminal/progress_line.ts";
import { StageLine } from "../../../src/cli/terminal/stage_line.ts";
import { StatusLine, statusText } from "../../../src/cli/terminal/status_line.ts";
import { textWidth } from "../../../src/cli/terminal/terminal.ts";
import { sizeText } from "../../../src/util/bytes.ts";

/** A stream that keeps what it gets, and a clock that stands until it is told. */
function fake(columns?: number) {
  const written: string[] = [];
  const clock = { ms: 0 };
  const stream = { written, write: (text: string) => written.push(text), ...(columns && { columns }) };
  const display = (redraws: boolean) => ({ redraws, now: () => clock.ms });
  /** What is on the line after each write. */
  const lines = () => written.map((text) => text.replace("\r", "").replace("\x1b[K", ""));
  return { stream, clock, display, written, lines };
}

const bytes = (loadedBytes: number, totalBytes = 3_000_000) => ({ loadedBytes, totalBytes });

describe("ProgressLine on a terminal", () => {
  it("shows nothing in the first 200 ms", () => {
    const { stream, clock, display, written } = fake();
    const line = new ProgressLine(stream, "loading a.gguf", display(true));
    for (clock.ms = 0; clock.ms < 200; clock.ms++) line.update(bytes(15_000 * clock.ms));
    line.clear();
    assert.deepEqual(written, []);
  });

  it("redraws one line with size, rate and time left, and takes it away", () => {
    const { stream, clock, display, written } = fake();
    const line = new ProgressLine(stream, "loading a.gguf", display(true));
    line.update(bytes(0));
    clock.ms = 1000;
    line.update(bytes(1_000_000));
    clock.ms = 1500;
    line.update(bytes(1_500_000));
    clock.ms = 3000;
    line.update(bytes(3_000_000));
    line.clear();
    line.clear();
    assert.deepEqual(written, [
      "\rloading a.gguf  33% of 3.0 MB, 1.0 MB/s, 0:02 left\x1b[K",
      "\rloading a.gguf  50% of 3.0 MB, 1.0 MB/s, 0:02 left\x1b[K",
      "\rloading a.gguf 100% of 3.0 MB, 1.0 MB/s, 0:00 left\x1b[K",
      "\r\x1b[K",
    ]);
  });

  it("redraws at most ten times a second", () => {
    const { stream, clock, display, written } = fake();
    const line = new ProgressLine(stream, "loading", display(true));
    for (clock.ms = 0; clock.ms <= 5000; clock.ms++) line.update(bytes(clock.ms * 1000, 5_000_000));
    line.clear();
    assert.ok(written.length > 20 && written.length <= 50, `${written.length}`);
  });

  it("prefers what the library measured", () => {
    const { stream, clock, display, lines } = fake();
    const line = new ProgressLine(stream, "loading", display(true));
    clock.ms = 1000;
    const measured = { fraction: 0.25, bytesPerSecond: 2_500_000, remainingMs: 61_000 };
    line.update({ ...bytes(1_000_000), ...measured });
    line.clear();
    assert.equal(lines()[0], "loading  25% of 3.0 MB, 2.5 MB/s, 1:01 left");
  });

  it("never shows a number that is none", () => {
    for (const odd of [Number.NaN, Number.POSITIVE_INFINITY, -1, 0, undefined]) {
      const { stream, clock, display, lines } = fake();
      const line = new ProgressLine(stream, "loading", display(true));
      for (const progress of [bytes(0, 0), bytes(5, 0), bytes(0), bytes(7), bytes(7)]) {
        clock.ms += 1000;
        line.update({ ...progress, fraction: odd, bytesPerSecond: odd, remainingMs: odd });
      }
      line.clear();
      assert.doesNotMatch(lines().join("\n"), /NaN|Infinity|undefined|-\d/);
    }
  });

  it("shows how far a download has come, and its bytes when its size is not known", () => {
    const { stream, clock, display, lines } = fake();
    const line = new ProgressLine(stream, "loading", display(true));
    for (const download of [
      { receivedBytes: 1e6, totalBytes: 4e6 },
      { receivedBytes: 2e6, totalBytes: 4e6 },
      { receivedBytes: 1e6, totalBytes: undefined },
    ]) {
      clock.ms += 1000;
      line.update({ ...bytes(9e5), download });
    }
    line.clear();
    assert.deepEqual(lines().slice(0, 3), [
      "loading  25% of 4.0 MB",
      "loading  50% of 4.0 MB, 1.0 MB/s, 0:02 left",
      "loading 1.0 MB",
    ]);
  });

  it("keeps to the width of the terminal whatever the title", () => {
    for (const columns of [1, 2, 5, 8, 20, 40, 79, 200]) {
      for (const title of [
        "loading a.gguf",
        `loading ${"x".repeat(300)}\n.gguf`,
        `loading ${"模型🙂".repeat(40)}`,
      ]) {
        const { stream, clock, display, lines } = fake(columns);
        const line = new ProgressLine(stream, title, display(true));
        for (const done of [0, 1e6, 2e6, 3e6]) {
          clock.ms += 500;
          line.update(bytes(done));
        }
        line.clear();
        for (const shown of lines()) {
          assert.doesNotMatch(shown, /\p{Cc}/u);
          assert.ok(textWidth(shown) < Math.max(columns, 2), `${columns}: ${shown}`);
        }
      }
    }
  });
});

describe("ProgressLine elsewhere", () => {
  it("writes a line every tenth, and none in the first 200 ms", () => {
    const { stream, clock, display, written } = fake();
    const line = new ProgressLine(stream, "loading a.gguf", display(false));
    line.update(bytes(0));
    clock.ms = 199;
    line.update(bytes(100_000));
    assert.deepEqual(written, []);
    for (clock.ms = 250; clock.ms <= 3000; clock.ms += 10) line.update(bytes(clock.ms * 1000));
    line.clear();
    assert.deepEqual(
      written.map(
        (text) => /^loading a\.gguf +(\d+)% of 3\.0 MB, \d\.\d MB\/s, 0:0\d left\n$/.exec(text)?.[1],
      ),
      ["8", "10", "20", "30", "40", "50", "60", "70", "80", "90", "100"],
    );
  });

  it("writes nothing about a moment", () => {
    const { stream, clock, display, written } = fake();
    const line = new ProgressLine(stream, "loading", display(false));
    for (clock.ms = 0; clock.ms < 200; clock.ms += 10) line.update(bytes(clock.ms * 15_000));
    line.clear();
    assert.deepEqual(written, []);
  });

  it("writes a line every ten seconds when the size is not known", () => {
    const { stream, clock, display, written } = fake();
    const line = new ProgressLine(stream, "loading", display(false));
    for (clock.ms = 0; clock.ms <= 30_000; clock.ms += 100) {
      line.update({ ...bytes(0, 0), download: { receivedBytes: clock.ms * 1000, totalBytes: undefined } });
    }
    line.clear();
    assert.deepEqual(written, [
      "loading 0.2 MB, 1.0 MB/s\n",
      "loading 10.2 MB, 1.0 MB/s\n",
      "loading 20.2 MB, 1.0 MB/s\n",
    ]);
  });
});

describe("StageLine", () => {
  it("redraws one line, and takes it away", () => {
    const { stream, clock, display, written } = fake();
    const line = new StageLine(stream, "training", display(true));
    for (let i = 0; i < 100; i++) line.update("reading", i / 100);
    clock.ms = 500;
    line.update("merging", undefined);
    clock.ms = 1000;
    line.update("merging", 0.5);
    line.clear();
    line.clear();
    assert.deepEqual(written, ["\rtraining: merging\x1b[K", "\rtraining: merging  50%\x1b[K", "\r\x1b[K"]);
  });

  it("writes a line for each stage and tenth elsewhere, at most one a second", () => {
    const { stream, clock, display, written } = fake();
    const line = new StageLine(stream, "training", display(false));
    for (clock.ms = 0; clock.ms < 2000; clock.ms += 10) line.update("reading", clock.ms / 2000);
    for (; clock.ms < 4000; clock.ms += 10) line.update("merging", undefined);
    line.clear();
    assert.deepEqual(written, [
      "training: reading  10%\n",
      "training: reading  60%\n",
      "training: merging\n",
    ]);
  });
});

describe("StatusLine", () => {
  it("shows itself although nothing is heard", async () => {
    const { stream, written } = fake();
    const drawn = new Promise<void>((resolve) => {
      stream.write = (text) => {
        resolve();
        return written.push(text);
      };
    });
    const line = new StatusLine(stream, { title: "loading" }, { redraws: true });
    // The line's own timer keeps no process alive.
    const alive = setInterval(() => {}, 1000);
    await drawn;
    clearInterval(alive);
    line.clear();
    assert.deepEqual(written, ["\rloading\x1b[K", "\r\x1b[K"]);
  });
});

describe("statusText()", () => {
  const status = {
    title: "loading model.gguf",
    fraction: 0.5,
    details: ["of 3.0 GB", "1.0 MB/s", "9:00 left"],
  };

  it("drops the time left, then the rate, then the end of the title", () => {
    const widths = [60, 45, 36, 26, 8, 3];
    assert.deepEqual(
      widths.map((columns) => statusText(status, columns)),
      [
        "loading model.gguf  50% of 3.0 GB, 1.0 MB/s, 9:00 left",
        "loading model.gguf  50% of 3.0 GB, 1.0 MB/s",
        "loading model.gguf  50% of 3.0 GB",
        "loading mo…  50% of 3.0 GB",
        "50%",
        "50%",
      ],
    );
  });
});

describe("timeText()", () => {
  it("counts minutes and seconds, and hours when there are some", () => {
    assert.deepEqual([0, 1, 61_000, 3_723_000].map(timeText), [
      "0:00 left",
      "0:01 left",
      "1:01 left",
      "1:02:03 left",
    ]);
    assert.deepEqual([Number.NaN, Number.POSITIVE_INFINITY, 1e12].map(timeText), [
      undefined,
      undefined,
      undefined,
    ]);
  });
});

describe("sizeText()", () => {
  it("counts in decimal units", () => {
    assert.deepEqual([0, 99_000, 3_400_000, 1_170_000_000].map(sizeText), [
      "0 kB",
      "99 kB",
      "3.4 MB",
      "1.17 GB",
    ]);
  });
});
