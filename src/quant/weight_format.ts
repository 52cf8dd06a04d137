// What the host knows of a weight format.

/** A weight format in linear memory: what the packer makes and a matmul kernel reads. */
export interface WeightFormat {
  /** As options name it. */
  readonly name: string;
  /** WEIGHT_* of plan records and of the pack kernel. */
  readonly code: number;
  /** Bytes of a tile of TILE_ROWS rows and BLOCK_COLS columns. */
  readonly tileBytes: number;
  /** Strips of a group, whose tiles lie side by side: see assembly/layout/blocks.ts. */
  readonly groupStrips: number;
  /** ACT_* of the activations that its matmul takes. */
  readonly activation: number;
  /** Bytes of one activation block of BLOCK_COLS columns. */
  readonly activationBlockBytes: number;
  /** Whether tiles have f16 scales. */
  readonly scaled: boolean;
}
