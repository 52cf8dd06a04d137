using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [(name = "worker", worker = .worker)],
  sockets = [(name = "http", address = "127.0.0.1:8787", http = (), service = "worker")],
);

const worker :Workerd.Worker = (
  compatibilityDate = "2026-01-01",
  compatibilityFlags = ["enable_request_signal"],
  modules = [
    (name = "worker.js", esModule = embed "worker.js"),
    (name = "cria/workerd.js", esModule = embed "../../dist/workerd.js"),
    (name = "cria/relaxed.wasm", wasm = embed "../../dist/relaxed.wasm"),
    (name = "cria/simd.wasm", wasm = embed "../../dist/simd.wasm"),
    (name = "tales.gguf", data = embed "../../models/tales/tales-q4_k_s.gguf"),
  ],
);
