// Answers OpenAI's routes for the pages of this site, with the model of a page: its engine is at the other end of a port, because
// a service worker may be ended at any time, and has no threads. Messages to pages: { wanted: true }, when it needs a model.
// Messages of pages: { port }, at whose other end their engine is, or { port: undefined } if they have none any more.
import { createServer, RemoteModel } from "../../dist/server.js";

/** The routes that it answers, under the folder of this file. */
const ROUTES = /^(v1\/|health$|metrics$|props$|slots$|tokenize$|detokenize$|apply-template$)/;
/** Milliseconds that pages have to offer a model, loading included. */
const PATIENCE_MS = 60_000;

/** The page that offered its model last: `{ client, ready, server }`, its id, when its engine has answered, and its server. */
let current;
/** Those who wait for a model. */
let waiting = [];

function offer(port, client) {
  if (!port) {
    if (current?.client === client) current = undefined;
    return;
  }
  const thread = { port, stop: () => port.close() };
  const model = RemoteModel.start(() => thread);
  const ready = model.catch(() => {});
  current = { client, ready, server: createServer({ model }) };
  for (const resolve of waiting) resolve(current);
  waiting = [];
}

/** The page with a model, if it is still there; else another, if one offers a model in time. */
async function serverNow() {
  const pages = await clients.matchAll({ includeUncontrolled: true });
  if (current && pages.some(({ id }) => id === current.client)) return current;
  current = undefined;
  const offered = new Promise((resolve) => waiting.push(resolve));
  for (const page of pages) page.postMessage({ wanted: true });
  const late = new Promise((resolve) => setTimeout(resolve, pages.length > 0 ? PATIENCE_MS : 0));
  return Promise.race([offered, late]);
}

async function answer(request, path) {
  const found = await serverNow();
  await found?.ready;
  if (found) return found.server.fetch(new Request(new URL(`/${path}`, location.origin), request));
  const message = "Cannot answer: No page of this site has a model; open it, and leave it open";
  return Response.json(
    { error: { message, type: "server_error", param: null, code: "no_model" } },
    { status: 503 },
  );
}

addEventListener("install", () => skipWaiting());
addEventListener("activate", (event) => event.waitUntil(clients.claim()));
addEventListener("message", ({ data, source }) => offer(data.port, source.id));
addEventListener("fetch", (event) => {
  const { origin, pathname, search } = new URL(event.request.url);
  const folder = new URL("./", location.href).pathname;
  const path = pathname.slice(folder.length);
  if (origin !== location.origin || !pathname.startsWith(folder) || !ROUTES.test(path)) return;
  event.respondWith(answer(event.request, path + search));
});
