// Serves text from Cloudflare Workers, bundled by wrangler. wrangler.toml has the rule for models. Then:
//   curl -N localhost:8787/generate -d '{"prompt": "Once upon a time"}'

/// <reference types="cria/gguf/data" />
import model from "cria/models/tales/tales-q4_k_s.gguf";
import { createWorker } from "cria/workerd";

export default createWorker({ model });
