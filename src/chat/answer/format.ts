// What a format of answers consists of, and what its readers share.
import type { Tool } from "../messages.ts";
import type { Output } from "./output.ts";
import type { Reading, Scanner } from "./scanner.ts";

/** How a family of models writes reasoning and tool calls. */
export interface Format {
  /** Its name, and others that it goes by. */
  readonly names: readonly string[];
  /** Whether a chat template asks for it. */
  readonly asks?: RegExp;
  /** What stands before and after reasoning; undefined for `<think>` and `</think>`. */
  readonly think?: readonly [string, string];
  /** A word behind the marker of reasoning. Then reasoning may come anywhere, and a marker without it means nothing. */
  readonly thinkWord?: string;
  /** Whether a call ends reasoning that has no end of its own. */
  readonly callEndsThink?: boolean;
  /** Markers of calls. */
  readonly open?: readonly string[];
  /** What a call without a marker begins with. It begins an answer, or follows reasoning or another call. */
  readonly bare?: string;
  /** Whether it may begin one anywhere. */
  readonly bareAnywhere?: boolean;
  /** Markers that are not content and begin nothing. */
  readonly drop?: readonly string[];
  /** Whether white space before a call is left out. */
  readonly trim?: boolean;
  /** Whether ids are nine letters and digits. */
  readonly shortIds?: boolean;
  /**
   * Reads calls behind a marker, "" for bare ones. Every complete one is finished, and the mark is set behind it.
   * @returns false if what comes is no call
   */
  readonly read?: (context: Context, marker: string) => Reading<boolean>;
  /** Reads a whole answer, if it is made of parts that markers do not tell apart. */
  readonly all?: (context: Context) => Reading<void>;
}

/** What readers read from and write to. */
export interface Context {
  readonly in: Scanner;
  readonly out: Output;
  readonly tools: Tools;
  /** Whether reasoning is split off. */
  readonly reasoning: boolean;
  /** Whether everything was read and the answer was cut off there. */
  readonly isCut: () => boolean;
  /** Gives up the call that was being read; its text since the mark goes to `text` if nobody was told of it. */
  readonly fail: (text: (text: string) => void) => void;
}

/** The tools that may be called. */
export class Tools {
  /** Whether any may be. */
  readonly callable: boolean;
  readonly #schemas: Map<string, unknown> | undefined;

  /** @param tools undefined if they are not known: then any name is one, and no type is known */
  constructor(tools: readonly Tool[] | undefined) {
    this.#schemas = tools && new Map(tools.map((tool) => [tool.function.name, tool.function.parameters]));
    this.callable = this.#schemas?.size !== 0;
  }

  /** Whether there may be a tool of that name. */
  has(name: string): boolean {
    return this.#schemas?.has(name) ?? true;
  }

  /** JSON types that an argument may have: "string", "integer" …; undefined for any. An argument that its tool does not have is a string. */
  types(name: string, key: string): readonly string[] | undefined {
    const schema = this.#schemas?.get(name);
    const properties = property(schema, "properties");
    if (typeof properties !== "object" || properties === null)
      return this.has(name) && schema ? ["string"] : undefined;
    return Object.hasOwn(properties, key) ? typesOf(property(properties, key)) : ["string"];
  }
}

/** Others, such as "float", say nothing. */
const JSON_TYPES = /^(string|number|integer|boolean|object|array|null)$/;

/** Types that a schema names, in itself or its alternatives; undefined for any. */
function typesOf(schema: unknown, depth = 0): readonly string[] | undefined {
  const type = property(schema, "type");
  if (typeof type === "string" || Array.isArray(type)) {
    const names = [type].flat().map((name) => (/^(str|text|enum)/.test(name) ? "string" : String(name)));
    return names.every((name) => JSON_TYPES.test(name)) ? names : undefined;
  }
  const values =
    property(schema, "enum") ??
    (property(schema, "const") !== undefined ? [property(schema, "const")] : undefined);
  if (Array.isArray(values)) return values.map((value) => jsonType(JSON.stringify(value) ?? "null"));
  const alternatives = property(schema, "anyOf") ?? property(schema, "oneOf");
  if (!Array.isArray(alternatives) || depth > 4) return undefined;
  const found = alternatives.map((alternative) => typesOf(alternative, depth + 1));
  return found.includes(undefined) ? undefined : (found.flat() as string[]);
}

/** The type of a value, given as JSON text. */
export function jsonType(json: string): string {
  if (json.startsWith('"')) return "string";
  if (json.startsWith("{")) return "object";
  if (json.startsWith("[")) return "array";
  if (json === "null") return "null";
  return json === "true" || json === "false" ? "boolean" : "number";
}

function property(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name)
    ? (value as Record<string, unknown>)[name]
    : undefined;
}
