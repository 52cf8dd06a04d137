// Server-sent events as clients read them.
import assert from "node:assert/strict";

/** A parsed stream: its data lines as JSON, whether [DONE] came last, and its comments. */
export interface SseStream {
  // biome-ignore lint/suspicious/noExplicitAny: events of several kinds
  readonly events: any[];
  readonly isDone: boolean;
  readonly comments: number;
}

/** Reads a whole stream. */
export async function readSse(response: Response): Promise<SseStream> {
  assert.match(response.headers.get("content-type") ?? "", /^text\/event-stream/);
  const text = await response.text();
  assert.ok(text.endsWith("\n\n"), "the last event is complete");
  const events: unknown[] = [];
  let isDone = false;
  let comments = 0;
  for (const block of text.slice(0, -2).split("\n\n")) {
    assert.ok(!isDone, "nothing follows [DONE]");
    const data = block.replace(/^event: .*\n/, "");
    if (data.startsWith(":")) comments++;
    else if (data === "data: [DONE]") isDone = true;
    else {
      assert.match(data, /^data: \{.*\}$/);
      events.push(JSON.parse(data.slice(6)));
    }
  }
  return { events, isDone, comments };
}
