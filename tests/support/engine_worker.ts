// The thread that engine_thread.ts starts.
import process from "node:process";
import { workerData } from "node:worker_threads";
import { Llama } from "../../src/mod.ts";
import { LocalModel } from "../../src/server/local_model.ts";
import { serveEngine } from "../../src/server/remote/serve_engine.ts";
import { contractLoad } from "./contract_load.ts";
import type { EngineThreadOptions } from "./engine_thread.ts";
import { embeddedModel } from "./models.ts";

const { port, options } = workerData as { port: never; options: EngineThreadOptions };
const { contextLength = 256, parallel = 4, prefixCache, model = embeddedModel } = options;

serveEngine(port, async () => {
  if (model === "dies") process.exit(3);
  const llama = await Llama.load(model, {
    ...contractLoad,
    contextLength,
    ...(prefixCache && { prefixCache }),
  });
  return new LocalModel(llama, { id: "tales", parallel });
});
