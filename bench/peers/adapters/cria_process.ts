// cria in Bun, Deno and Node.
import { Cria } from "./cria.ts";
import { peakMemory, serve } from "./serve.ts";

class CriaProcess extends Cria {
  override async memory() {
    return { ...(await super.memory()), ...(await peakMemory()) };
  }
}

await serve(new CriaProcess());
