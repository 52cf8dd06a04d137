// What the parts of the serving benchmark share.

/** A line of the result. */
export interface Row {
  readonly model: string;
  readonly what: string;
  readonly value: number;
  readonly unit: "tokens/s" | "ms" | "ratio";
  readonly samples: number;
  /** What is wanted of it. */
  readonly asked?: string;
}

/** How much to measure. */
export interface Effort {
  readonly rounds: number;
  /** The share of a model's tokens. */
  readonly share: number;
}

/** A model that is measured. */
export interface ServedFile {
  readonly name: string;
  readonly file: string | URL;
  /** The file that llama.cpp is given, if it shall be measured too. */
  readonly native?: string;
  /** Tokens of a stream. */
  readonly tokens: number;
}
