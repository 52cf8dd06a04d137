// Loads the model of `cria serve`, in the thread that computes.
import { setMaxListeners } from "node:events";
import { CHAT_MODEL, isEmbeddedName } from "../../package.ts";
import { LocalModel } from "../../server/local_model.ts";
import type { ServedModel } from "../../server/model.ts";
import { loadModel, type ModelValues } from "../load_model.ts";

/** What decides the model of a server. */
export interface ServedValues {
  readonly load: ModelValues;
  /** The model's name for clients; undefined: by its file. */
  readonly name: string | undefined;
  readonly parallel: number;
  readonly queue: number;
}

/** Loads the model that flags name. @throws what `Llama.load` throws */
export async function loadServed({ load, name, parallel, queue }: ServedValues): Promise<ServedModel> {
  // The choices of a job wait for one signal; Node would take them for a leak.
  setMaxListeners(0);
  const never = new AbortController().signal;
  const { llama } = await loadModel(load, never, false, CHAT_MODEL);
  const reload = async () => (await loadModel(load, never, true, CHAT_MODEL)).llama;
  return new LocalModel(llama, {
    id: name ?? nameOf(load.model ?? CHAT_MODEL),
    parallel,
    queue,
    reload,
  });
}

// "models/Qwen3-0.6B-Q8_0.gguf" is "Qwen3-0.6B-Q8_0", "cria:tales-chat" is "tales-chat".
function nameOf(model: string): string {
  if (isEmbeddedName(model)) return model.replace(/^cria:/i, "");
  const last = model
    .split(/[\\/](?!$)/)
    .at(-1)
    ?.replace(/[\\/]$/, "");
  return last?.replace(/\.(gguf|bin)$/i, "") || "model";
}
