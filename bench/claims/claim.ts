// What a claim is: something to measure, and how its numbers are put into words, a table and a chart.
import type { Variant } from "../../src/kernels/variant.ts";
import type { KernelArea } from "../kernel_area.ts";
import type { Call } from "../measure.ts";

/** What claims measure with. */
export interface Bench {
  /** Kernel build of everything that has one thread. */
  readonly kernel: Variant;
  /** A few samples only, and no models of a gigabyte. */
  readonly quick: boolean;
  /** Kernels on an empty memory of some 400 MB; what an earlier case put there is gone. */
  area(): Promise<KernelArea>;
  /** Median nanoseconds of each call; the calls take turns. */
  time(calls: readonly Call[]): Promise<number[]>;
  /** The fastest read sweep so far, GB/s. */
  bandwidth(): number;
  /** Says that something is left out, and why. */
  skip(what: string, why: string): void;
}

/** A table as text. */
export interface Table {
  /** Columns that are flush left, from the first; the others are flush right. Default 1. */
  readonly left?: number;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** A line of the page's summary. */
export interface Ratio {
  readonly what: string;
  readonly value: string;
}

/** An SVG file and its text for those who do not see it. */
export interface Chart {
  readonly alt: string;
  readonly svg: string;
}

/** A claim's section of the page. */
export interface Section {
  readonly ratios: readonly Ratio[];
  readonly tables: readonly Table[];
  /** Whole SVG files, and what each shows. */
  readonly charts: readonly Chart[];
  /** What was found, as sentences that are true of these numbers. */
  readonly found: string;
}

/** One technique against its absence. `T` is what the result file keeps of it: plain JSON. */
export interface Claim<T = unknown> {
  /** Its key in the result file and how its charts' names begin. */
  readonly name: string;
  readonly title: string;
  /** What is compared and why it matters: one sentence. */
  readonly about: string;
  measure(bench: Bench): Promise<T>;
  /** Depends on `data` only. */
  render(data: T): Section;
}
