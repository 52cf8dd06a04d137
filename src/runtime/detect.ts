// Finds out which runtime this code runs in.
import { browserRuntime } from "./browser.ts";
import { bunRuntime } from "./bun.ts";
import { denoRuntime } from "./deno.ts";
import { nodeRuntime } from "./node.ts";
import type { Runtime } from "./runtime.ts";
import { workerdRuntime } from "./workerd.ts";

/** The global names that tell runtimes apart. */
export interface Globals {
  readonly navigator?: { readonly userAgent?: string };
  readonly process?: {
    readonly versions?: Readonly<Record<string, string | undefined>>;
    readonly getBuiltinModule?: unknown;
  };
  readonly document?: unknown;
}

const makers = {
  bun: bunRuntime,
  deno: denoRuntime,
  node: nodeRuntime,
  workerd: workerdRuntime,
  browser: browserRuntime,
};

/** The kind of runtime that has these globals. */
export function runtimeKind(globals: Globals): keyof typeof makers {
  // workerd first: with nodejs_compat it has a `process` too. Then Bun and Deno, which claim to be a Node.
  if (globals.navigator?.userAgent === "Cloudflare-Workers") return "workerd";
  const versions = globals.process?.versions;
  if (versions?.bun) return "bun";
  if (versions?.deno) return "deno";
  // Bundlers give pages a `process` that claims to be one.
  const isShim = "document" in globals && globals.process?.getBuiltinModule === undefined;
  return versions?.node && !isShim ? "node" : "browser";
}

/** The runtime this code runs in. */
export function detectRuntime(): Runtime {
  return makers[runtimeKind(globalThis as Globals)]();
}
