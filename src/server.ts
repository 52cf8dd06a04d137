/**
 * A server of OpenAI's routes over a model, for any runtime that has `Request` and `Response`.
 *
 * @module
 */
export { createServer, type Server, type ServerOptions } from "./server/create_server.ts";
export { LocalModel, type LocalModelOptions } from "./server/local_model.ts";
export type {
  Job,
  JobEvent,
  JobPrompt,
  ModelFacts,
  ModelStatus,
  ServedModel,
  TokenText,
} from "./server/model.ts";
export { type EngineThread, RemoteModel, type StartEngine } from "./server/remote/remote_model.ts";
export { serveEngine } from "./server/remote/serve_engine.ts";
