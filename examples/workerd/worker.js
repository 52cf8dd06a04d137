// Serves text from workerd (Cloudflare Workers). After `bun run dist`, in this folder:
//   npx workerd serve config.capnp
//   curl -N localhost:8787/generate -H "content-type: application/json" -d '{"prompt": "Once upon a time"}'
import { createWorker } from "./cria/workerd.js";
import model from "./tales.gguf";

export default createWorker({ model });
