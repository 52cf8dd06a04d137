// How much memory is asked for, and what happens where a runtime gives less.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import process from "node:process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { Llama, MemoryError } from "../../src/mod.ts";
import { tinyLlamaGguf } from "../support/gguf_writer.ts";
import { embeddedModel, engineOf } from "../support/models.ts";
import { refused } from "../support/refused.ts";
import { refusingMemory } from "../support/refused_memory.ts";
import { itUnless } from "../support/skip.ts";

const PAGE = 65536;
const MIB = 1 << 20;
const { bytes } = tinyLlamaGguf();
const { layout } = await engineOf(bytes);
const least = Math.ceil(layout.totalBytes / PAGE);
const works = async (llama: Llama) =>
  assert.equal((await llama.complete("in the", { maxTokens: 3, ignoreEos: true })).ids.length, 3);

describe("Llama.load()", () => {
  for (const threads of [1, 2]) {
    it(`asks for one memory, with room for sessions and not for 4 GiB: ${threads} threads`, async () => {
      await refusingMemory(
        () => false,
        async (asked) => {
          await using llama = await Llama.load(embeddedModel, { threads });
          assert.equal(asked.length, 1);
          const [{ initial, maximum, shared }] = asked as [(typeof asked)[0]];
          assert.equal(shared, threads > 1);
          assert.equal(initial * PAGE, llama.memoryBytes);
          assert.ok(maximum * PAGE <= llama.memoryBytes + 256 * MIB, `${maximum} pages`);
          assert.ok(llama.maxBytes >= llama.memoryBytes + 64 * llama.sessionBytes);
          assert.ok(llama.maxBytes < (maximum + 1) * PAGE);
        },
      );
    });
  }

  it("takes a budget for what it is, whatever the sessions need", async () => {
    for (const maxBytes of [layout.totalBytes, layout.totalBytes + 3 * PAGE, 900 * MIB]) {
      await refusingMemory(
        () => false,
        async (asked) => {
          await using llama = await Llama.load(bytes, { threads: 1, maxBytes });
          assert.equal(llama.maxBytes, maxBytes);
          assert.deepEqual(
            asked.map(({ maximum }) => maximum),
            [Math.max(least, Math.floor(maxBytes / PAGE))],
          );
        },
      );
    }
  });

  for (const shared of [false, true]) {
    it(`does with a smaller maximum where a larger one is refused: ${shared ? "" : "not "}shared`, async () => {
      for (const most of [4000, 1000, least + 20, least]) {
        await refusingMemory(
          ({ maximum }) => maximum > most,
          async (asked) => {
            await using llama = await Llama.load(bytes, { threads: shared ? 2 : 1 });
            assert.equal(llama.threads, shared ? 2 : 1);
            const maxima = asked.map(({ maximum }) => maximum);
            assert.ok(
              maxima.every((n, i) => i === 0 || n < (maxima[i - 1] as number)),
              `${maxima}`,
            );
            const given = maxima.at(-1) as number;
            assert.ok(given <= most && given >= Math.max(least, most / 2 - 16), `${most}: ${maxima}`);
            assert.equal(llama.maxBytes, given * PAGE);
            await works(llama);
          },
        );
      }
    });
  }

  it("does without shared memory where that is refused and nobody asked for threads", async () => {
    await refusingMemory(
      ({ shared }) => shared,
      async () => {
        await using llama = await Llama.load(bytes);
        assert.equal(llama.threads, 1);
        assert.doesNotMatch(llama.kernel.variant, /-shared$/);
        await works(llama);
      },
    );
  });

  it("says what was refused, and what can be done about it", async () => {
    const sizes = String.raw`${least * PAGE} bytes \(\d\.\d MiB\), it refuses, as it refused more, from a maximum of \d+ bytes \(\d+\.\d MiB\) down \(RangeError: Out of memory\); `;
    await refusingMemory(
      () => true,
      async () => {
        await refused(
          Llama.load(bytes),
          new RegExp(
            `^Cannot allocate WebAssembly memory: Expected the runtime to give ${sizes}.*smaller model`,
          ),
          MemoryError,
        );
        await refused(
          Llama.load(bytes, { threads: 2 }),
          new RegExp(
            `^Cannot allocate shared WebAssembly memory: Expected the runtime to give ${sizes}load with threads: 1, `,
          ),
          MemoryError,
        );
      },
    );
  });

  it("tells sessions that find no room whose limit it is", async () => {
    const fill = async (llama: Llama) => {
      const sessions = [];
      for (;;) {
        const session = llama.session();
        sessions.push(session);
        await session.append("in the");
      }
    };
    await refusingMemory(
      ({ maximum }) => maximum > least,
      async () => {
        await using llama = await Llama.load(bytes, { threads: 1 });
        await refused(
          fill(llama),
          new RegExp(
            `and the runtime gives no more memory than ${least * PAGE} bytes \\(\\d\\.\\d MiB\\): \\d+ sessions`,
          ),
          MemoryError,
        );
      },
    );
    await using llama = await Llama.load(bytes, { threads: 1, maxBytes: layout.totalBytes });
    await refused(
      fill(llama),
      new RegExp(
        `and the memory budget of ${layout.totalBytes} bytes \\(\\d\\.\\d MiB\\) is spent: \\d+ sessions`,
      ),
      MemoryError,
    );
  });
});

describe("a process with few addresses", () => {
  const { bun } = process.versions as Record<string, string | undefined>;
  const reason = bun === undefined ? "Deno and Node need more addresses than this for themselves" : false;
  // Bun itself takes half of the first, and all but little of the last.
  for (const kilobytes of [12_000_000, 8_000_000, 5_000_000]) {
    itUnless(
      process.platform === "linux" ? reason : "ulimit -v is Linux's",
      `generates within ulimit -v ${kilobytes}`,
      () => {
        const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
        const command = `ulimit -v ${kilobytes}; exec "$0" "$1" generate Once --max-tokens 4 --temperature 0`;
        const { status, stdout, stderr } = spawnSync("sh", ["-c", command, process.execPath, main], {
          encoding: "utf8",
        });
        assert.equal(status, 0, stderr);
        assert.match(stdout, /^Once/);
      },
    );
  }
});
