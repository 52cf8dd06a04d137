// Everything that is chosen because one machine is fastest with it and another is not: the form of the dot product, how
// many streams read a matrix, how activations are splatted, and how many threads compute. Choices change times, never bits.
import { quoted } from "../../util/bytes.ts";
import { UsageError } from "../../util/errors.ts";
import type { KernelExports } from "../exports.gen.ts";
import type { Variant } from "../variant.ts";
import { type DotForm, dotForms, exactForms } from "./dot_form.ts";
import { measureSplats, type Splats, splatCodes } from "./splats.ts";
import { measureStreams, type StreamedMatrix, type Streams, type SweepArea } from "./streams.ts";
import { type StepKind, type ThreadOptions, ThreadTuner } from "./thread_tuner.ts";

/** Fixes what is otherwise measured: for tests and benchmarks. */
export interface TuneOptions extends ThreadOptions {
  /**
   * Form of the dot product of bytes. "wide" works everywhere, "moved" in every build with relaxed SIMD, "unsigned" and
   * "signed" only in engines whose own instruction is of that kind; any other is refused.
   */
  readonly dot?: DotForm | undefined;
  /** Groups of weights that a kernel of one token reads at once. */
  readonly streams?: Streams | undefined;
  /** How kernels of pairs for several tokens have an activation in every row; of no effect with forms other than "moved". */
  readonly splats?: Splats | undefined;
}

/** What a model computes with on this machine. It decides about times, never about results. */
export interface KernelChoices {
  /** The build of the kernels: with relaxed SIMD or without, with shared memory (which threads need) or without. */
  readonly variant: Variant;
  /** Form of the dot product of bytes: what the engine's own instruction is good for; "wide" does without it. */
  readonly dot: DotForm;
  /** Groups of weights that a kernel of one token reads at once: what was fastest when the model was loaded. */
  readonly streams: Streams;
  /**
   * How kernels of pairs for several tokens have an activation in every row, which matrices of K types are multiplied by if the form is
   * "moved": what was faster when the model was loaded.
   */
  readonly splats: Splats;
  /**
   * Threads that took part last, by kind of step: packing weights while loading, steps of one token, of up to eight
   * ("few"), of more ("many"). 1 before the first.
   */
  readonly threads: Readonly<Record<StepKind, number>>;
}

/**
 * Makes these choices for one model and holds them. What options fix is not measured. It outlives the model's memory and
 * holds no part of it.
 */
export class Tuner {
  /** Chooses threads for each run. */
  readonly threadTuner: ThreadTuner;
  readonly #variant: Variant;
  readonly #dot: DotForm;
  readonly #fixed: TuneOptions;
  #streams: Streams;
  #splats: Splats;

  /** @throws UsageError for a form of the dot product that these kernels compute wrongly in this engine, or lack */
  constructor(variant: Variant, kernels: Pick<KernelExports, "dot_form">, options: TuneOptions = {}) {
    const forms = exactForms(kernels);
    const { dot = forms.at(-1) as DotForm } = options;
    if (!forms.includes(dot)) {
      throw new UsageError(
        `Cannot load with tune.dot ${quoted(dot)}: Expected one of ${forms.join(", ")}, which are right in this ` +
          `runtime with the kernel build ${quoted(variant)}`,
      );
    }
    this.threadTuner = new ThreadTuner(options);
    this.#variant = variant;
    this.#dot = dot;
    this.#fixed = options;
    this.#streams = options.streams ?? 1;
    this.#splats = options.splats ?? "loads";
  }

  /** DOT_* for CONTROL_DOT. */
  get dotCode(): number {
    return dotForms[this.#dot];
  }

  /** For CONTROL_STREAMS. */
  get streams(): Streams {
    return this.#streams;
  }

  /** For CONTROL_SPLATS. */
  get splatCode(): number {
    return splatCodes[this.#splats];
  }

  /**
   * Chooses the number of streams and how activations are splatted, once the weights are in place.
   * @param setSplats writes CONTROL_SPLATS
   */
  measure(
    kernels: KernelExports,
    matrices: readonly StreamedMatrix[],
    area: SweepArea,
    setSplats: (code: number) => void,
  ): void {
    const dot = this.dotCode;
    this.#streams = this.#fixed.streams ?? measureStreams(kernels, matrices, area, dot);
    this.#splats = this.#fixed.splats ?? measureSplats(kernels, matrices, area, dot, setSplats);
    setSplats(this.splatCode);
  }

  /** All choices as they are now. */
  get choices(): KernelChoices {
    return Object.freeze({
      variant: this.#variant,
      dot: this.#dot,
      streams: this.#streams,
      splats: this.#splats,
      threads: Object.freeze(this.threadTuner.chosen),
    });
  }
}
