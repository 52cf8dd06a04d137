// Huge pages: what Linux notes about a memory for which they were asked.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { reserveMemory } from "../../src/kernels/instance.ts";
import { detectRuntime } from "../../src/runtime/detect.ts";
import { askForHugePages } from "../../src/runtime/huge_pages.ts";

const BYTES = 64 << 20;
const runtime = detectRuntime();
const hasHugePages = existsSync("/sys/kernel/mm/transparent_hugepage/enabled");
const reason = !hasHugePages
  ? "this system has no transparent huge pages"
  : !runtime.adviseMemory && `${runtime.name} calls no functions of C`;
const onLinux = { skip: process.platform !== "linux" && "other systems are not asked" };

/** Bytes of this process for which huge pages are asked. */
function bytesAsked(): number {
  const areas = readFileSync("/proc/self/smaps", "utf8").split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m);
  const asked = areas.filter((area) => / hg( |$)/m.test(/^VmFlags:.*$/m.exec(area)?.[0] ?? ""));
  return asked.reduce((sum, area) => sum + 1024 * Number(/^Size: +(\d+) kB/m.exec(area)?.[1]), 0);
}

describe("adviseMemory()", () => {
  it("has Linux note that a memory is to have huge pages, as far as it may grow", { skip: reason }, () => {
    const before = bytesAsked();
    const { memory } = reserveMemory(BYTES, true, 4 * BYTES);
    runtime.adviseMemory?.(memory, 4 * BYTES);
    assert.equal(bytesAsked() - before, 4 * BYTES);
    memory.grow(BYTES / 65536);
    new Uint8Array(memory.buffer).fill(1);
    assert.equal(bytesAsked() - before, 4 * BYTES);
  });
});

describe("askForHugePages()", () => {
  const memory = new WebAssembly.Memory({ initial: 1 });

  it("looks for the other library of C if one is not there, and lives without both", onLinux, () => {
    const names: string[] = [];
    askForHugePages(memory, BYTES, (name) => {
      names.push(name);
      throw new Error("not there");
    });
    assert.deepEqual(names, ["libc.so.6", "libc.so"]);
  });

  it("asks with the advice of Linux, once", onLinux, () => {
    const asked: number[][] = [];
    askForHugePages(memory, BYTES, () => (_, bytes, advice) => asked.push([bytes, advice]));
    assert.deepEqual(asked, [[BYTES, 14]]);
  });

  it("does not ask for a memory that a processor's tables hold", () => {
    askForHugePages(memory, 16 << 20, () => assert.fail("opened"));
  });
});
