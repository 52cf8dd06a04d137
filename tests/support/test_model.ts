// A small model with a chat template, served in this thread.
import { Llama } from "../../src/mod.ts";
import { LocalModel } from "../../src/server/local_model.ts";
import type { JobPrompt, ServedModel } from "../../src/server/model.ts";
import { embeddedModel } from "./models.ts";

function asText(prompt: JobPrompt): JobPrompt {
  if (!("messages" in prompt)) return prompt;
  const text = prompt.messages.map(({ role, content }) => `${role}: ${JSON.stringify(content)}\n`).join("");
  return { text: `${text}assistant: ` };
}

/** The embedded model. */
export async function testModel(): Promise<ServedModel> {
  const llama = await Llama.load(embeddedModel, { threads: 1, contextLength: 256 });
  const local = new LocalModel(llama, { id: "test" });
  return {
    facts: { ...local.facts, hasTemplate: true },
    render: (prompt) => local.render(asText(prompt)),
    encode: (text, options) => local.encode(text, options),
    decode: (ids) => local.decode(ids),
    run: (job, signal) => local.run({ ...job, prompt: asText(job.prompt) }, signal),
    status: () => local.status(),
    close: () => local.close(),
  };
}
