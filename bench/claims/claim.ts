// The interface of a claim: how it is measured, and how its numbers become sentences, tables and charts.
import type { Variant } from "../../src/kernels/variant.ts";
import type { KernelArea } from "../kernel_area.ts";
import type { Call } from "../measure.ts";

/** What claims measure with. */
export interface Bench {
  /** Kernel build for everything that runs on one thread. */
  readonly kernel: Variant;
  /** Take a few samples only, and leave out models of a gigabyte. */
  readonly quick: boolean;
  /** Kernels on a memory of some 400 MB, which it empties: addresses of earlier cases are no longer valid. */
  area(): Promise<KernelArea>;
  /** Median nanoseconds of each call. Samples of the calls alternate. */
  time(calls: readonly Call[]): Promise<number[]>;
  /** The fastest read sweep so far, GB/s. */
  bandwidth(): number;
  /** Records that something was skipped, and why. */
  skip(what: string, why: string): void;
}

/** A table as text. */
export interface Table {
  /** How many of the first columns are aligned left; the others are aligned right. Default 1. */
  readonly left?: number;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** A line of the page's summary. */
export interface Ratio {
  readonly what: string;
  readonly value: string;
}

/** An SVG file and its alternative text. */
export interface Chart {
  readonly alt: string;
  readonly svg: string;
}

/** A claim's section of the page. */
export interface Section {
  readonly ratios: readonly Ratio[];
  readonly tables: readonly Table[];
  readonly charts: readonly Chart[];
  /** The findings, as sentences made from the numbers. */
  readonly found: string;
}

/** A technique, measured with and without it. `T` is its data in the result file: plain JSON. */
export interface Claim<T = unknown> {
  /** Its key in the result file, and the beginning of its charts' names. */
  readonly name: string;
  readonly title: string;
  /** What is compared, and why it matters. */
  readonly about: string;
  /** Whether every machine measures the same: then it can be measured alone, and its place in the result file is taken. */
  readonly isExact?: boolean;
  measure(bench: Bench): Promise<T>;
  /** Pure: the same data gives the same section. */
  render(data: T): Section;
}
