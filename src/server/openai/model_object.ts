// A model as OpenAI's clients read it.
import type { ModelFacts } from "../model.ts";

/** A model's name, age and sizes. */
export function modelObject({ id, created, contextLength, vocabSize }: ModelFacts) {
  return {
    id,
    object: "model",
    created,
    owned_by: "cria",
    // As llama-server and vLLM call them.
    meta: { n_ctx_train: contextLength, n_vocab: vocabSize },
    max_model_len: contextLength,
  };
}
