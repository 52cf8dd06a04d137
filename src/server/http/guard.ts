// Who may ask: keys, names of the host, origins of pages.
import { quoted } from "../../util/bytes.ts";
import { HttpError } from "./errors.ts";

/** Who may ask a server. */
export interface GuardOptions {
  /** Keys that are taken; none: everybody may ask. */
  readonly apiKeys: readonly string[];
  /** Origins of pages that may ask; "*" for all. */
  readonly cors: readonly string[];
  /** Names under which the server is asked; undefined for any. */
  readonly hosts: readonly string[] | undefined;
}

/** Names of the own machine. */
export const loopbackHosts: readonly string[] = ["localhost", "127.0.0.1", "[::1]", "::1"];

async function digest(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
}

/** Lets requests in, or not. */
export class Guard {
  readonly #keys: readonly string[];
  readonly #cors: readonly string[];
  readonly #hosts: readonly string[] | undefined;

  constructor({ apiKeys, cors, hosts }: GuardOptions) {
    this.#keys = apiKeys;
    this.#cors = cors;
    this.#hosts = hosts;
  }

  /**
   * The key's owner, for fairness; undefined if no key is needed.
   * @throws HttpError 401
   */
  async owner({ headers }: Request): Promise<string | undefined> {
    if (this.#keys.length === 0) return undefined;
    const [, bearer] = /^Bearer +(\S+) *$/i.exec(headers.get("authorization") ?? "") ?? [];
    const given = bearer ?? headers.get("x-api-key");
    // Digests have one length, and each is compared to its end with every key: the time says nothing of how much of a key
    // is right.
    const asked = await digest(given ?? "");
    let isKnown = 0;
    for (const key of await Promise.all(this.#keys.map(digest))) {
      let difference = 0;
      for (let i = 0; i < key.length; i++) difference |= (key[i] as number) ^ (asked[i] as number);
      isKnown |= Number(difference === 0);
    }
    if (given !== null && isKnown === 1) return `key ${asked.subarray(0, 8).join("-")}`;
    throw new HttpError(
      401,
      given === null
        ? "Cannot answer: Expected an API key in Authorization: Bearer KEY or X-Api-Key, got none"
        : "Cannot answer: Expected a known API key, got another",
      { code: "invalid_api_key", headers: { "www-authenticate": "Bearer" } },
    );
  }

  /**
   * Refuses requests under another name: a page whose name was made to lead here reads what it likes.
   * @param bound the address that the server listens at, if the runtime says so
   * @throws HttpError 403
   */
  checkHost(request: Request, url: URL, bound: string | undefined): void {
    const hosts =
      this.#hosts ?? (bound !== undefined && loopbackHosts.includes(bound) ? loopbackHosts : undefined);
    if (!hosts) return;
    const host = request.headers.get("host") ?? url.host;
    const name = host.replace(/:\d*$/, "").toLowerCase();
    if (hosts.includes(name) || hosts.includes(host.toLowerCase())) return;
    throw new HttpError(403, `Cannot answer: Expected a Host of ${hosts.join(", ")}, got ${quoted(host)}`, {
      code: "host_not_allowed",
    });
  }

  /** Headers that let the page read the answer, if it may. */
  corsHeaders({ headers }: Request): Readonly<Record<string, string>> {
    const origin = headers.get("origin");
    if (this.#cors.length === 0) return {};
    if (origin === null || !(this.#cors.includes("*") || this.#cors.includes(origin)))
      return { vary: "origin" };
    return {
      vary: "origin",
      "access-control-allow-origin": origin,
      "access-control-expose-headers": "retry-after",
    };
  }

  /** The answer to what browsers ask before the request of a page. */
  preflight(request: Request, allow: string): Response {
    const cors = this.corsHeaders(request);
    const isAllowed = Object.hasOwn(cors, "access-control-allow-origin");
    const asked = request.headers.get("access-control-request-headers");
    return new Response(null, {
      status: 204,
      headers: {
        allow,
        ...cors,
        ...(isAllowed && {
          "access-control-allow-methods": allow,
          "access-control-allow-headers": asked ?? "authorization, content-type, x-api-key",
          "access-control-max-age": "600",
          // Of Chromium, for pages of the internet that ask a machine at home.
          ...(request.headers.has("access-control-request-private-network") && {
            "access-control-allow-private-network": "true",
          }),
        }),
      },
    });
  }
}
