// Post-processors of a tokenizer.json: the special tokens before and after a text.
import type { JsonValue } from "./json.ts";
import { type Components, readComponent } from "./json.ts";

/** Most post-processors of a sequence, parts of a template, and ids of one part. */
const MAX_PARTS = 64;

/** Ids that are put around those of a text. */
export interface Template {
  readonly before: readonly number[];
  readonly after: readonly number[];
}

const nothing: Template = { before: [], after: [] };

/**
 * Reads a post-processor, of which only what a single text gets counts.
 * @param size ids of the vocabulary
 * @throws FormatError, UnsupportedError
 */
export function readTemplate(json: JsonValue, size: number): Template {
  const known: Components<Template> = {
    Sequence: (sequence) =>
      sequence
        .get("processors")
        .items(MAX_PARTS)
        .map((item) => readTemplate(item, size))
        .reduce(
          (inner, outer) => ({
            before: [...outer.before, ...inner.before],
            after: [...inner.after, ...outer.after],
          }),
          nothing,
        ),
    // It only moves offsets, of which cria has its own.
    ByteLevel: () => nothing,
    TemplateProcessing: (template) => readSingle(template, size),
  };
  return json.isNull ? nothing : readComponent(json, "Post-processor", known);
}

function readSingle(json: JsonValue, size: number): Template {
  const before: number[] = [];
  const after: number[] = [];
  let texts = 0;
  for (const part of json.get("single").items(MAX_PARTS)) {
    const special = part.get("SpecialToken");
    const sequence = part.get("Sequence");
    if (special.value !== undefined) {
      (texts === 0 ? before : after).push(...idsOf(json.get("special_tokens"), special.get("id"), size));
    } else if (sequence.value !== undefined) {
      if (sequence.get("id").oneOf(["A", "B"]) === "B") throw part.unsupported("A second text", ["one text"]);
      texts++;
    } else throw part.expected('{"SpecialToken": ...} or {"Sequence": ...}');
  }
  if (texts !== 1) throw json.get("single").unsupported(`A template of ${texts} texts`, ["one text"]);
  return { before, after };
}

function idsOf(specials: JsonValue, name: JsonValue, size: number): number[] {
  const entry = specials.get(name.string());
  if (entry.value === undefined) throw name.expected("one of special_tokens");
  return entry
    .get("ids")
    .items(MAX_PARTS)
    .map((id) => id.integer(0, size - 1));
}
