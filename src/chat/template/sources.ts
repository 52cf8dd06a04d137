// Which chat template of a model counts: the caller's, one of those that the model has, or none.
import { quoted } from "../../util/bytes.ts";
import { UsageError } from "../../util/errors.ts";

/** The templates of a model by name; "default" is the one that counts if no other is asked for. */
export type NamedTemplates = ReadonlyMap<string, string>;

/** The templates that count. */
export interface TemplateSources {
  /** What errors call the model. */
  readonly name: string;
  readonly main: string | undefined;
  /** The one that counts if tools are given; undefined if there is no other. */
  readonly withTools: string | undefined;
}

/** The name that models give a template for tools. */
const TOOL_USE = "tool_use";

/**
 * The templates of a model that count.
 * @param found those that the model has
 * @param asked the option `chatTemplate`: a template's text, or the name of one of `found`
 * @throws UsageError for a name that the model does not have
 */
export function chosenTemplates(
  name: string,
  found: NamedTemplates,
  asked: string | undefined,
): TemplateSources {
  if (asked === undefined) {
    const main = found.get("default") ?? (found.size === 1 ? [...found.values()][0] : undefined);
    return { name, main: main ?? found.get(TOOL_USE), withTools: found.get(TOOL_USE) };
  }
  const named = found.get(asked);
  if (named !== undefined) return { name, main: named, withTools: undefined };
  // A text without a tag writes the same for all messages: surely it is a name.
  if (asked.includes("{")) return { name, main: asked, withTools: undefined };
  const names = [...found.keys()].map(quoted).join(", ") || "none";
  throw new UsageError(
    `Cannot load ${name} with chatTemplate ${quoted(asked)}: Expected the text of a template, or a name that the model has (${names})`,
  );
}
