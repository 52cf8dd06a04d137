// Sources over URLs, requests and responses.
import { SourceError } from "../util/errors.ts";
import type { ByteSource } from "./byte_source.ts";
import { feedSource } from "./feed.ts";
import { readAnswer, statusProblem } from "./http/http_answer.ts";
import { HttpFile } from "./http/http_file.ts";
import type { UrlOptions } from "./http/http_options.ts";
import { urlName } from "./http/http_request.ts";
import { streamFeed } from "./stream.ts";

/**
 * The file behind a URL or GET request.
 *
 * If the server gives ranges and names a version of the file (ETag or Last-Modified), a lost connection is resumed at
 * the byte where it ended, and the source is read anywhere. Ranges are an optimisation: if a request for one fails, in
 * whatever way, the whole file is asked for before that is an error, and what came already is skipped. If the server
 * gives no ranges, the source is read forward only, like a stream. If it names no version, a lost connection is an error
 * unless nothing had come yet.
 * An abort of `signal` ends the request, waits and every read with its reason.
 * @throws SourceError if there is no answer, its status is not 200 or 206, it is a web page, or its headers contradict
 *   each other
 */
export async function urlSource(
  request: string | URL | Request,
  options: UrlOptions = {},
): Promise<ByteSource> {
  return (await HttpFile.open(request, options)).source();
}

/**
 * The body of an answer that the caller has fetched, read forward only like a stream.
 * @throws SourceError if its status is not 200, it is a web page, it has no body, or the body was read
 */
export async function responseSource(
  response: Response,
  options: Pick<UrlOptions, "signal" | "sha256" | "newHash" | "hidesHeaders"> = {},
): Promise<ByteSource> {
  const name = response.url === "" ? "response" : urlName(response.url);
  const { status, body } = response;
  const url = response.url === "" ? undefined : new URL(response.url);
  const answer = status === 200 ? readAnswer(response, options) : statusProblem(response, url);
  if (typeof answer === "string" || body === null) {
    await body?.cancel().catch(() => {});
    const reason = typeof answer === "string" ? answer : "The answer has no body";
    throw new SourceError(`Cannot read ${name}: ${reason}`);
  }
  if (response.bodyUsed || body.locked) {
    throw new SourceError(
      `Cannot read ${name}: Expected a response whose body was not read, got one that was`,
    );
  }
  return feedSource(streamFeed(body, name), name, { ...options, size: answer.size });
}
