// A small model with a chat template, served in this thread.
import { Llama } from "../../src/mod.ts";
import { LocalModel } from "../../src/server/local_model.ts";
import type { ServedModel } from "../../src/server/model.ts";

/** The embedded model that talks. */
export async function testModel(): Promise<ServedModel> {
  const llama = await Llama.load("cria:tales-chat", { threads: 1, contextLength: 256 });
  return new LocalModel(llama, { id: "test" });
}
