// Deno with a script and nothing else on disk: code, types and model come from a web server.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { embeddedName } from "../support/models.ts";
import {
  assertBits,
  bitsFunction,
  modelPath,
  output,
  packageFolder,
  runProcess,
  temporaryFolder,
  tool,
} from "../support/package.ts";

const MODEL = `/${embeddedName}`;

/** Serves dist/ at the root, and the model where the package has it. */
async function serve(dist: string): Promise<Server> {
  const server = createServer((request, response) => {
    const path = request.url === MODEL ? modelPath : join(dist, request.url as string);
    try {
      const bytes = readFileSync(path);
      const type = path.endsWith(".js") ? "text/javascript" : "application/octet-stream";
      response.setHeader("Content-Type", path.endsWith(".d.ts") ? "application/typescript" : type);
      response.end(bytes);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

describe("cria.js from a URL in Deno", () => {
  const folder = temporaryFolder();
  const env = { DENO_DIR: join(folder, "deno_dir") };
  let server: Server;
  let host: string;

  before(async () => {
    server = await serve(join(await packageFolder(), "dist"));
    host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(() => server.close());

  function script(name: string, text: string): string {
    writeFileSync(join(folder, name), text.replaceAll("HOST", host));
    return name;
  }

  // Deno asks for --allow-import before it imports from any host that it does not know.
  const deno = (command: string, ...args: string[]) => [command, `--allow-import=${host}`, ...args];

  for (const threads of [1, 2]) {
    it(`generates the same bits as the sources, with ${threads} threads and the embedded model`, async () => {
      const name = script(
        `run${threads}.ts`,
        `import { Llama } from "http://HOST/cria.js";
${bitsFunction}
console.log(JSON.stringify(await bits(Llama, undefined, { tune: { threads: ${threads} } })));`,
      );
      const args = deno("run", "--allow-net", "--allow-read", name);
      await assertBits(await output(tool("deno"), args, { cwd: folder, env }), threads);
    });
  }

  it("needs no other permission than the network's", async () => {
    const name = script(
      "least.ts",
      `import { Llama } from "http://HOST/cria.js";
await using llama = await Llama.load("http://HOST${MODEL}", { threads: 2 });
console.log((await llama.complete("Once", { maxTokens: 3, temperature: 0 })).ids.length);`,
    );
    const args = deno("run", `--allow-net=${host}`, "--no-prompt", name);
    assert.equal(await output(tool("deno"), args, { cwd: folder, env }), "3\n");
  });

  it("has its types", async () => {
    const right = script(
      "right.ts",
      `import { type Completion, Llama, type LoadOptions } from "http://HOST/cria.js";
import { Tokenizer } from "http://HOST/tokenizer.js";
const options: LoadOptions = { threads: 2 };
export async function run(): Promise<string> {
  await using llama = await Llama.load(undefined, options);
  const completion: Completion = await llama.complete("Once", { maxTokens: 3 });
  const tokenizer: Tokenizer = await Tokenizer.load("x");
  return completion.text + tokenizer.vocabSize.toFixed();
}`,
    );
    await output(tool("deno"), deno("check", right), { cwd: folder, env });

    const wrong = script(
      "wrong.ts",
      `import { Llama } from "http://HOST/cria.js";
const llama = await Llama.load("x", { threads: "2" });
llama.generat("x");`,
    );
    const { status, stderr } = await runProcess(tool("deno"), deno("check", wrong), { cwd: folder, env });
    assert.equal(status, 1);
    assert.match(stderr, /Type 'string' is not assignable to type 'number'/);
    assert.match(stderr, /Did you mean 'generate'/);
  });
});
