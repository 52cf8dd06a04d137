// `cria serve`: a server of OpenAI's routes.
import process from "node:process";
import { createServer, type Server } from "../server/create_server.ts";
import { RemoteModel } from "../server/remote/remote_model.ts";
import { UsageError } from "../util/errors.ts";
import { command } from "./command.ts";
import {
  ArgumentError,
  bytesFlag,
  describeFlags,
  type FlagValues,
  helpFlag,
  listFlag,
  numberFlag,
  oneLine,
  switchFlag,
  textFlag,
} from "./flags/args.ts";
import { computeFlags, count, modelFlags, templateFlags } from "./load_model.ts";
import { startEngineThread } from "./serving/engine_thread.ts";
import { listen } from "./serving/listen.ts";
import type { ServedValues } from "./serving/load_served.ts";
import { writeErr, writeOut } from "./terminal/output.ts";

const MAX_PORT = 65_535;
const DEFAULT_PORT = 8080;
const DEFAULT_HOST = "127.0.0.1";
const DEFAULT_PARALLEL = 8;
const DEFAULT_QUEUE = 64;
const DEFAULT_DRAIN = 30;
const DEFAULT_PREFIX_CACHE = 256 << 20;

const flags = {
  ...modelFlags,
  ...templateFlags,
  port: numberFlag("--port", "N", `port to listen at (default: ${DEFAULT_PORT}; 0 takes a free one)`, {
    integer: true,
    min: 0,
    max: MAX_PORT,
  }),
  host: textFlag("--host", "ADDRESS", `address to listen at (default: ${DEFAULT_HOST}, this machine alone)`),
  name: textFlag("--name", "NAME", "the model's name for clients (default: by its file)", {
    aliases: ["--alias"],
  }),
  parallel: numberFlag(
    "--parallel",
    "N",
    `answers that are computed at once (default: ${DEFAULT_PARALLEL})`,
    { ...count, min: 1 },
    { aliases: ["-np"] },
  ),
  queue: numberFlag("--queue", "N", `requests that may wait beyond those (default: ${DEFAULT_QUEUE})`, {
    ...count,
    min: 0,
  }),
  prefixCache: bytesFlag(
    "--prefix-cache",
    "memory for prompts that begin alike: 64M, 1G, ... (default: 256M)",
  ),
  noPrefixCache: switchFlag("--no-prefix-cache", "compute every prompt from its beginning", {
    option: "prefixCache",
  }),
  apiKeys: listFlag(
    "--api-key",
    "KEY",
    "key that clients must send; may be given several times (also CRIA_API_KEY)",
  ),
  noApiKey: switchFlag("--no-api-key", "serve other machines without a key"),
  cors: listFlag("--cors", "ORIGIN", "origin of web pages that may ask; may be given several times"),
  hosts: listFlag(
    "--allow-host",
    "NAME",
    "name under which a proxy on this machine asks; may be given several times",
  ),
  deadline: numberFlag("--deadline", "SECONDS", "give requests up after this time (default: never)", {
    integer: false,
    min: 0.001,
    max: 86_400,
  }),
  drain: numberFlag(
    "--drain",
    "SECONDS",
    `after SIGTERM, most time for answers to end (default: ${DEFAULT_DRAIN})`,
    {
      integer: false,
      min: 0,
      max: 86_400,
    },
  ),
  ...templateFlags,
  ...computeFlags,
  help: helpFlag,
};

type Values = FlagValues<typeof flags>;

const help = `Usage: cria serve [flags]

Serves a model, tales-chat if --model names none, at the routes of OpenAI's interface: clients take http://${DEFAULT_HOST}:${DEFAULT_PORT}/v1 as base URL.
Prints the address on standard output when it listens; until the model is loaded, requests are answered 503.
Other machines are served with --host 0.0.0.0 and a key.

Flags:
${describeFlags(flags)}
Ctrl-C ends it at once. SIGTERM lets answers end that are under way, and then exits with 0.
Exit status: 0; 1 for a failure; 2 for wrong usage; 130 when ended by Ctrl-C.
`;

/** `cria serve`: serves a model until a signal ends it. */
export const serveCommand = command({
  name: "serve",
  summary: "serve a model to clients of OpenAI's interface",
  help,
  flags,
  async run({ values, operands }) {
    if (operands.length > 0) {
      throw new ArgumentError(
        `Cannot serve: Expected flags only, got ${oneLine(operands[0] as string)}; the model is given by --model`,
      );
    }
    return serve(values);
  },
});

async function serve(values: Values): Promise<number> {
  const { host = DEFAULT_HOST, port = DEFAULT_PORT, drain = DEFAULT_DRAIN, deadline } = values;
  // As URLs write it: "[::1]".
  const hostname = host.replace(/^\[(.+)\]$/, "$1");
  const apiKeys = keysOf(values, hostname);
  const engine = servedValues(values);
  const model = RemoteModel.start((onDeath) => startEngineThread(engine, onDeath));
  const server = createServer({
    model,
    apiKeys,
    ...(values.cors && { cors: values.cors }),
    ...((values.hosts || isLoopback(hostname)) && {
      hosts: [...loopbackNames, hostname, ...(values.hosts ?? [])],
    }),
    ...(deadline !== undefined && { deadlineMs: Math.ceil(deadline * 1000) }),
    onError: (error) => void writeErr(`error: ${oneLine(String((error as Error)?.stack ?? error))}\n`),
  });
  const ended = endOf(server, drain * 1000);
  // Who fails to load ends the command; until then nobody waits for it.
  model.catch(() => {});
  const listener = await listen(server.fetch, { hostname, port });
  const name = hostname.includes(":") ? `[${hostname}]` : hostname;
  await writeOut(`listening at http://${name}:${listener.port}\n`);
  try {
    const failed = model.then(
      async ({ facts }) => {
        await writeErr(
          `ready: ${oneLine(facts.id)}; base URL of OpenAI clients: http://${name}:${listener.port}/v1\n`,
        );
        return new Promise<never>(() => {});
      },
      (error) => Promise.reject(error),
    );
    return await Promise.race([ended, failed]);
  } finally {
    await server.close();
    await listener.stop();
  }
}

function servedValues(values: Values): ServedValues {
  const { parallel = DEFAULT_PARALLEL, queue = DEFAULT_QUEUE, name } = values;
  const keys = Object.keys({ ...modelFlags, ...templateFlags, ...computeFlags });
  const load = Object.fromEntries(Object.entries(values).filter(([key]) => keys.includes(key)));
  const { prefixCache = DEFAULT_PREFIX_CACHE, noPrefixCache = false } = values;
  return { load: { ...load, ...(!noPrefixCache && { prefixCache }) }, name, parallel, queue };
}

const loopbackNames = ["localhost", "127.0.0.1", "::1", "[::1]"];

function isLoopback(hostname: string): boolean {
  return loopbackNames.includes(hostname.toLowerCase()) || /^127(\.\d+){3}$/.test(hostname);
}

/**
 * The keys that clients must send.
 * @throws UsageError if other machines would be served without one
 */
function keysOf({ apiKeys = [], noApiKey = false }: Values, hostname: string): readonly string[] {
  const { CRIA_API_KEY: own } = process.env;
  const keys = [...apiKeys, ...(own ? [own] : [])];
  if (keys.length > 0 || noApiKey || isLoopback(hostname)) return keys;
  throw new UsageError(
    `Cannot serve at ${hostname}: Expected a key, since other machines reach this address; give one with --api-key or CRIA_API_KEY, or serve everybody with --no-api-key`,
  );
}

/** Waits for a signal: Ctrl-C ends the server at once, SIGTERM when its answers have ended. */
function endOf(server: Server, drainMs: number): Promise<number> {
  return new Promise((resolve) => {
    process.on("SIGINT", () => resolve(130));
    let isDraining = false;
    process.on("SIGTERM", () => {
      if (isDraining) return resolve(143);
      isDraining = true;
      server.drain(drainMs).then(() => resolve(0));
    });
  });
}
