// Makes the header of a model with experts from that of a model without.
import { type Header, type Tensor, withIntegers } from "./header.ts";

/** What a model with experts has in place of a dense model's layers. */
export interface ExpertShape {
  readonly nLayers: number;
  /** Length of a row inside an expert. */
  readonly hidden: number;
  readonly experts: number;
  readonly used: number;
}

/** Whether a tensor chooses experts. */
export function isRouter(name: string): boolean {
  return name.endsWith(".ffn_gate_inp.weight");
}

/** The header with fewer layers, whose feed-forward blocks are mixtures of experts. */
export function withExperts(header: Header, { nLayers, hidden, experts, used }: ExpertShape): Header {
  const tensors = header.tensors
    .filter(({ name }) => Number(/^blk\.(\d+)\./.exec(name)?.[1] ?? 0) < nLayers)
    .flatMap((tensor) => mixture(tensor, hidden, experts));
  return withIntegers(
    { ...header, tensors },
    {
      "llama.block_count": nLayers,
      "llama.feed_forward_length": hidden,
      "llama.expert_count": experts,
      "llama.expert_used_count": used,
    },
  );
}

// The matrix of each expert in place of a block's, and the router before the first of them.
function mixture({ name, dims }: Tensor, hidden: number, experts: number): Tensor[] {
  const part = /^(blk\.\d+)\.ffn_(gate|up|down)\.weight$/.exec(name);
  if (!part) return [{ name, dims }];
  const [, block, stem] = part;
  const [cols, rows] = dims as [number, number];
  const all = {
    name: `${block}.ffn_${stem}_exps.weight`,
    dims: [...(stem === "down" ? [hidden, rows] : [cols, hidden]), experts],
  };
  return stem === "gate" ? [{ name: `${block}.ffn_gate_inp.weight`, dims: [cols, experts] }, all] : [all];
}
