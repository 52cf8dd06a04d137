// Whether an answer is to what was asked, and of the same version as the first.
import { SourceError } from "../../util/errors.ts";
import { asMissingFile } from "../read_errors.ts";
import {
  type Answer,
  isTransient,
  readAnswer,
  retryAfterMs,
  sameVersion,
  statusProblem,
  versionName,
} from "./http_answer.ts";
import { ChangedError, Interruption } from "./http_errors.ts";

/** What was asked for, and what is known of the file. */
export interface Expectation {
  readonly name: string;
  readonly url: URL;
  /** Offset of the next byte that is wanted. */
  readonly position: number;
  /** Whether a range was asked for. */
  readonly asksRange: boolean;
  /** The first answer, which later ones must agree with. */
  readonly known: Answer | undefined;
  /** Whether a SHA-256 will tell versions apart. */
  readonly hasDigest: boolean;
  readonly hidesHeaders: boolean | undefined;
  readonly isHub: boolean;
}

/**
 * What an answer says of the file.
 * @throws Interruption if it asks to come again; ChangedError if it is of another version; SourceError if it cannot be
 *   used; isMissingFile() tells if there is no such file
 */
export function checkAnswer(response: Response, expected: Expectation): Answer {
  const { status, body } = response;
  const { name, url, position, known, hidesHeaders, isHub } = expected;
  const problem = () => statusProblem(response, url, isHub);
  if (isTransient(status)) throw interruption(response, problem());
  const fail = (reason: string): never => {
    throw new SourceError(`Cannot read ${name}: ${reason}`);
  };
  if (known && status === 416)
    return fail(`Expected ${known.size} bytes, the file ends at ${position} or before`);
  if (status === 404 || status === 410) {
    throw asMissingFile(new SourceError(`Cannot read ${name}: ${problem()}`));
  }
  if (status !== 200 && status !== 206) fail(problem());
  const answer = readAnswer(response, { knownSize: known?.size, hidesHeaders });
  if (typeof answer === "string") return fail(answer);
  if (answer.encoded && expected.asksRange) fail("Expected the file as it is, got it compressed");
  if (known) compare(answer, known, expected);
  const { first, end = Number.POSITIVE_INFINITY } = answer;
  if (first > position) fail(`Expected bytes from ${position} on, got bytes from ${first} on`);
  if (end <= position && answer.size !== 0)
    fail(`Expected bytes from ${position} on, got bytes before ${end}`);
  if (body === null && answer.size !== 0) fail("The answer has no body");
  return answer;
}

function interruption(response: Response, problem: string): Interruption {
  const waitMs = retryAfterMs(response.headers, Date.now());
  return new Interruption(problem, {
    answered: true,
    ...(waitMs !== undefined && { waitMs }),
  });
}

/** @throws ChangedError or SourceError if a later answer is not of the same version as the first */
function compare(answer: Answer, known: Answer, { name, hasDigest }: Expectation): void {
  const changed = `Cannot read ${name}: The file changed while it was read: Expected`;
  const same = sameVersion(answer.version, known.version);
  const [expected, got] = [known, answer].map(({ version }) => versionName(version) ?? "none");
  const text = `${changed} version ${expected}, got ${got}; load it again`;
  if (same === false) throw new ChangedError(text);
  if (same === undefined && expected !== got && !hasDigest) throw new SourceError(text);
  const sizes = [known.size, answer.size];
  if (!sizes.includes(undefined) && sizes[0] !== sizes[1]) {
    throw new SourceError(`${changed} ${sizes[0]} bytes, got ${sizes[1]}; load it again`);
  }
  if (answer.encoded !== known.encoded) {
    const form = (encoded: boolean) => (encoded ? "compressed" : "as it is");
    throw new SourceError(`${changed} it ${form(known.encoded)}, got it ${form(answer.encoded)}`);
  }
}
