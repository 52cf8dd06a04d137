// What `cria show --json` prints.
import { bytesOfTensor, type Inspection } from "../api/inspect.ts";
import { escaped } from "./terminal/escape.ts";

/** Which lists are asked for. */
export interface ShownLists {
  readonly tensors?: boolean | undefined;
  readonly metadata?: boolean | undefined;
}

/** Values of an array that are listed. */
const MAX_VALUES = 16;
/** Characters of a text that are listed. */
const MAX_CHARS = 4096;

/** The object of `--json`, with a line end. docs/command_line.md describes it. */
export function inspectionJson({ facts, metadata, tensors }: Inspection, shown: ShownLists): string {
  const object = {
    ...facts,
    ...(shown.tensors && {
      tensors: tensors.map((tensor) => ({
        name: tensor.name,
        shape: tensor.shape,
        type: tensor.type,
        bytes: bytesOfTensor(tensor),
        file: tensor.source.name,
      })),
    }),
    ...(shown.metadata && {
      metadata: Object.fromEntries(Array.from(metadata, ([key, meta]) => [key, shownValue(meta)])),
    }),
  };
  return `${escaped(JSON.stringify(object, null, 2), unicodeEscape)}\n`;
}

type Meta = Inspection["metadata"] extends ReadonlyMap<string, infer V> ? V : never;

// A value with its type; `length` says how long one is that was cut.
function shownValue(meta: Meta): object {
  if (meta.type !== "array") {
    const { type, value } = meta;
    if (typeof value !== "string" || value.length <= MAX_CHARS) return { type, value: scalar(value) };
    return { type, length: value.length, value: value.slice(0, MAX_CHARS) };
  }
  const values = Array.from<unknown, unknown>({ length: Math.min(meta.value.length, MAX_VALUES) }, (_, i) =>
    scalar(meta.value[i]),
  );
  return { type: meta.type, elementType: meta.elementType, length: meta.value.length, value: values };
}

// JSON has no number for these.
function scalar(value: unknown): unknown {
  if (typeof value === "bigint" || (typeof value === "number" && !Number.isFinite(value)))
    return String(value);
  return typeof value === "string" ? value.slice(0, MAX_CHARS) : value;
}

function unicodeEscape(code: number): string {
  return `\\u${code.toString(16).padStart(4, "0")}`;
}
