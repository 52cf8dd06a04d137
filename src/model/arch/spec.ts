/** What distinguishes one architecture from another: data that the plan builder reads. */
export interface ArchSpec {
  /** As files name it. */
  readonly name: string;
  /** NORM_* of every norm. */
  readonly norm: number;
  /** GLU_* of the feed-forward block. */
  readonly glu: number;
  /** PAIRING_* of the rotary embedding. */
  readonly ropePairing: number;
}
