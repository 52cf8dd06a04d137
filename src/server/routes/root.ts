// GET /: a few words for people who open the address in a browser.
import { commonHeaders } from "../http/responses.ts";
import type { Route } from "../http/route.ts";
import { FINGERPRINT } from "../openai/ids.ts";

/** What this is, and where to go on. */
export const root: Route = {
  path: "/",
  get: ({ url, loaded }) => {
    const text = `${FINGERPRINT}, a server of OpenAI's interface

model     ${loaded?.facts.id ?? "is being loaded"}
base URL  ${url.origin}/v1
state     ${url.origin}/health, /metrics, /slots, /props
`;
    return new Response(text, {
      headers: { ...commonHeaders, "content-type": "text/plain; charset=utf-8" },
    });
  },
};
