// cria in Bun, Deno and Node.
import { Cria } from "./cria.ts";
import { peakMemory, serve } from "./serve.ts";

class CriaProcess extends Cria {
  override memory = peakMemory;
}

await serve(new CriaProcess());
