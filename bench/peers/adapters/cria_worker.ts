// cria in a worker of a page. Each message is a call; a call of load contains the file.
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
