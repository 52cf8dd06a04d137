// Loads the model of `cria serve`, in the thread that computes.
import { LocalModel } from "../../server/local_model.ts";
import type { ServedModel } from "../../server/model.ts";
import { loadModel, type ModelValues } from "../load_model.ts";

/** What decides the model of a server. */
export interface ServedValues {
  readonly load: ModelValues;
  readonly id: string;
  readonly parallel: number;
  readonly queue: number;
}

/** Loads the model that flags name. @throws what `Llama.load` throws */
export async function loadServed({ load, id, parallel, queue }: ServedValues): Promise<ServedModel> {
  const never = new AbortController().signal;
  const { llama } = await loadModel(load, never, false);
  const reload = async () => (await loadModel(load, never, true)).llama;
  return new LocalModel(llama, { id, parallel, queue, reload });
}
