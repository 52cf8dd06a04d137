// Options that say who may ask a server.
import { UsageError } from "../../util/errors.ts";
import { wrongOption } from "../../util/options.ts";
import { Guard, loopbackHosts } from "./guard.ts";

function textsOf(action: string, name: string, value: unknown): readonly string[] {
  if (value === undefined) return [];
  if (Array.isArray(value) && value.every((text) => typeof text === "string" && text !== ""))
    return [...value];
  throw wrongOption(action, name, "an array of texts, none of them empty", value);
}

/** Who may ask, as options say it. */
export interface GuardInput {
  readonly apiKeys?: readonly string[] | undefined;
  readonly cors?: string | readonly string[] | undefined;
  readonly hosts?: "loopback" | readonly string[] | undefined;
}

/**
 * What lets requests in.
 * @param action what is done with the options, for errors
 * @throws UsageError
 */
export function guardOf(action: string, { apiKeys, cors, hosts }: GuardInput): Guard {
  const origins = textsOf(action, "cors", typeof cors === "string" ? [cors] : cors);
  for (const origin of origins) {
    const isOrigin = URL.canParse(origin) && new URL(origin).origin === origin;
    if (origin !== "*" && !isOrigin) {
      throw wrongOption(action, "cors", 'origins such as "https://example.com", or "*"', origin);
    }
  }
  const keys = textsOf(action, "apiKeys", apiKeys);
  // A message shows no key.
  if (!keys.every((key) => /^[\x21-\x7e]+$/.test(key))) {
    throw new UsageError(
      `Cannot ${action}: Expected apiKeys to be ASCII letters, digits and signs, got one with a space, a line end or another character, which clients cannot send`,
    );
  }
  return new Guard({
    apiKeys: keys,
    cors: origins,
    hosts: hostsOf(action, hosts),
  });
}

function hostsOf(action: string, hosts: GuardInput["hosts"]): readonly string[] | undefined {
  if (hosts === undefined || hosts === "loopback") return hosts && loopbackHosts;
  if (Array.isArray(hosts) && hosts.length > 0) {
    return textsOf(action, "hosts", hosts).map((host) => host.toLowerCase());
  }
  throw wrongOption(action, "hosts", '"loopback", or names of hosts, one at least', hosts);
}
