// Checks fields against schemas, and says what is wrong in one sentence that names the field.
import * as v from "valibot";
import { describeValue } from "../../util/describe.ts";
import type { Fields } from "../http/body.ts";
import { badRequest, type HttpError } from "../http/errors.ts";

type Issue = v.BaseIssue<unknown>;

/** What a schema's value may be, for errors: the schemas' messages are such phrases. */
function pathOf({ path }: Issue): string {
  return (path ?? []).reduce((text, { key }) => {
    if (typeof key === "number") return `${text}[${key}]`;
    return text === "" ? String(key) : `${text}.${String(key)}`;
  }, "");
}

/**
 * The checked fields; messages of the schema are phrases: "an integer of at least 0".
 * @throws HttpError 400 with the field as `param`
 */
export function check<S extends v.GenericSchema>(schema: S, fields: Fields): v.InferOutput<S> {
  const { success, issues, output } = v.safeParse(schema, fields, { abortEarly: true });
  if (success) return output;
  const issue = issues[0] as Issue;
  if (isMissing(issue)) return check(schema, withUndefined(fields, issue.path ?? []) as Fields);
  const [field] = issue.path ?? [];
  throw wrong(String(field?.key ?? ""), pathOf(issue), issue.message, issue.input);
}

// Of a key that is not there valibot only says that it is expected. What it is to be is said by the schema of its value.
function isMissing({ path }: Issue): boolean {
  const last = path?.at(-1);
  return last?.origin === "key" && !Object.hasOwn(Object(last.input), String(last.key));
}

function withUndefined(value: unknown, [first, ...rest]: readonly v.IssuePathItem[]): unknown {
  if (!first) return undefined;
  const inner = withUndefined((value as Record<string, unknown>)[first.key as string], rest);
  // An array passes for an object, too.
  if (!Array.isArray(value) || typeof first.key === "string")
    return { ...(value as object), [first.key as string]: inner };
  return value.map((one, i) => (i === first.key ? inner : one));
}

/** The error of a field with a wrong value; undefined is one that is not there. @param path the field, or a place in it */
export function wrong(param: string, path: string, expected: string, value: unknown): HttpError {
  return badRequest(
    param,
    `Cannot answer: Expected ${path} to be ${expected}, got ${value === undefined ? "none" : describeValue(value)}`,
    "invalid_value",
  );
}

/** The error of a field that is right and not supported. */
export function unsupported(param: string, what: string): HttpError {
  return badRequest(param, `Cannot answer: ${what}`, "unsupported_parameter");
}

/** A text. */
export const text = v.string("a text");

/** An integer in [min, max]. */
export function integer(min: number, max: number = Number.MAX_SAFE_INTEGER) {
  const bounds =
    max === Number.MAX_SAFE_INTEGER ? `an integer of at least ${min}` : `an integer in [${min}, ${max}]`;
  return v.pipe(v.number(bounds), v.integer(bounds), v.minValue(min, bounds), v.maxValue(max, bounds));
}

/** true or false. */
export const boolean = v.boolean("true or false");
