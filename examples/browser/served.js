// Lets other pages of this site ask the model of this page, as they would ask OpenAI: service_worker.js answers them.

/** Offers a page's model to the service worker while it is asked for. */
export class Served {
  #modelPort;
  #registration;

  /** @param modelPort gives a port with the engine at the other end, once a model is loaded */
  constructor(modelPort) {
    this.#modelPort = modelPort;
  }

  /** The address that clients take: `new OpenAI({ baseURL })`. */
  static get baseUrl() {
    return new URL("v1", import.meta.url).href;
  }

  get isOn() {
    return this.#registration !== undefined;
  }

  /** Begins to answer. @throws Error if this browser has no service workers, or none of modules */
  async start() {
    const { serviceWorker } = navigator;
    if (!serviceWorker) throw new Error("Cannot serve: this browser has no service workers here");
    const script = new URL("service_worker.js", import.meta.url);
    this.#registration = await serviceWorker.register(script, { type: "module" });
    serviceWorker.addEventListener("message", this.#onMessage);
    await serviceWorker.ready;
    await this.offer();
  }

  /** Ends it: requests go to the server of this page again. */
  async stop() {
    navigator.serviceWorker.removeEventListener("message", this.#onMessage);
    await this.#registration?.unregister();
    this.#registration = undefined;
  }

  /** Tells the service worker of a model that has come in place of another. */
  async offer(to = this.#registration?.active) {
    if (!to) return;
    // Without a model there is nothing to offer: the page says why.
    const port = await this.#modelPort().catch(() => undefined);
    to.postMessage({ port }, port ? [port] : []);
  }

  #onMessage = ({ data, source }) => {
    if (data.wanted) this.offer(source);
  };
}
