// cria in a worker of a page: each message is a call, and the file that a load names comes with it.
import { answer, type Call } from "../protocol.ts";
import { Cria } from "./cria.ts";

let file: Blob | undefined;
const cria = new Cria((name) => {
  if (!file) throw new Error(`the page gave no ${name}`);
  return file;
});

addEventListener("message", async ({ data }: MessageEvent<{ call: Call; file?: Blob }>) => {
  file = data.file ?? file;
  postMessage(await answer(cria, data.call));
});
