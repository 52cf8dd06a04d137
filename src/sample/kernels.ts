// What sampling needs of a kernel module.
/** The kernels that sampling calls, see assembly/sample.ts; a kernel module's exports have them all. */
export interface SampleKernels {
  argmax(logits: number, n: number): number;
  log_sum_exp(logits: number, n: number): number;
  sum_exp(x: number, n: number, shift: number, scale: number): number;
  walk_exp(x: number, n: number, shift: number, scale: number, target: number): number;
  min_p_count(values: number, n: number, scale: number, p: number): number;
  top_k(logits: number, n: number, k: number, ids: number, values: number): number;
}
