// The malformed and sound files that ggml's own test builds by hand, each built here by its name.
import type { MetaType } from "../../src/format/model_file.ts";
import { type CriaError, FormatError, UnsupportedError } from "../../src/util/errors.ts";
import {
  type GgufDescription,
  GgufFile,
  type GgufTensor,
  type GgufValue,
  ggufFile,
  meta,
  metaArray,
} from "./gguf_writer.ts";

const MAX_U64 = 2n ** 64n - 1n;

const scalars: [Exclude<MetaType, "string">, number | bigint | boolean][] = [
  ["u8", 200],
  ["i8", -100],
  ["u16", 60000],
  ["i16", -30000],
  ["u32", 4e9],
  ["i32", -2e9],
  ["f32", 1.5],
  ["bool", true],
  ["u64", 2n ** 63n],
  ["i64", -5],
  ["f64", Math.PI],
];

/** Metadata of the sound files: a key of every type, and an array of every type with 0, 1 and 5 elements. */
export const metadata: (readonly [string, GgufValue])[] = [
  ...scalars.map(([type, value]) => [`scalar.${type}`, meta(type, value)] as const),
  ["scalar.string", meta("string", "text ▁")],
  ["scalar.empty", meta("string", "")],
  ...[0, 1, 5].flatMap((n) => [
    ...scalars.map(([type, value]) => [`array.${type}.${n}`, metaArray(type, Array(n).fill(value))] as const),
    [`array.string.${n}`, metaArray("string", ["", "a", "▁b", "", "c"].slice(0, n))] as const,
  ]),
];

/** Tensors of the sound files: 100 of all the writer's types, of 1 to 4 dimensions. */
export const tensors: GgufTensor[] = Array.from({ length: 100 }, (_, i) => {
  const types = ["F32", "F16", "Q4_0", "Q8_0", "Q4_K", "Q6_K", "I8", "I64", "BF16"];
  const type = types[i % types.length] as string;
  const row = (1 + (i % 10)) * (/K$/.test(type) ? 256 : /^Q/.test(type) ? 32 : 1);
  const outer = Array.from({ length: i % 4 }, (_, dim) => 1 + ((i + 3 * dim) % 7));
  return { name: `my_tensor_${i}`, shape: [...outer, row], type };
});

export const withKeys = (more: GgufDescription = {}) => ggufFile({ metadata, ...more });
export const withTensors = (more: GgufDescription = {}) => ggufFile({ metadata, tensors, ...more });
const setAll = (file: GgufFile, suffix: RegExp, value: number | bigint) => {
  for (const field of file.fields.keys()) if (suffix.test(field)) file.set(field, value);
  return file;
};
const withoutLastByte = ({ bytes, fields, dataBegin }: GgufFile) =>
  new GgufFile(bytes.slice(0, -1), fields, dataBegin);
const same = (tensor: GgufTensor): GgufTensor => ({ ...tensor, name: "my_tensor" });
const long = (tensor: GgufTensor): GgufTensor => ({ ...tensor, name: tensor.name.padEnd(64, "_") });

/** A file, and where it is refused the message and class of the error. */
export interface GgufCase {
  readonly build: () => GgufFile;
  readonly message: RegExp | undefined;
  readonly type: new (message: string) => CriaError;
}

type Row = [() => GgufFile, RegExp?, GgufCase["type"]?];

const rows: Record<string, Row> = {
  HEADER_BAD_MAGIC: [() => ggufFile({}).set("magic", 0x47475546), /begins with "GGUF", got "FUGG"/],
  HEADER_BAD_VERSION_1: [() => ggufFile({ version: 1 }), /version 2 or 3, got version 1$/, UnsupportedError],
  HEADER_BAD_VERSION_FUTURE: [() => ggufFile({ version: 4 }), /got version 4$/, UnsupportedError],
  HEADER_BAD_N_TENSORS: [
    () => ggufFile({}).set("nTensors", MAX_U64),
    /at most 100000 tensors .*, got 18446744/,
  ],
  HEADER_BAD_N_KV: [
    () => ggufFile({}).set("nKeys", MAX_U64),
    /at most 100000 metadata keys .*, got 18446744/,
  ],
  HEADER_EMPTY: [() => ggufFile({})],
  KV_BAD_KEY_SIZE: [() => setAll(withKeys(), /keyLength$/, MAX_U64), /at most 65535 bytes of a key/],
  KV_BAD_TYPE: [
    () => setAll(withKeys(), /^key\..*\.type$/, 13),
    /Expected a value type from 0 to 12, got 13/,
  ],
  KV_DUPLICATE_KEY: [
    () => ggufFile({ metadata: [...metadata, ["scalar.f32", meta("u8", 1)]] }),
    /each metadata key once, got "scalar\.f32" again/,
  ],
  KV_BAD_ALIGN: [
    () => withKeys({ alignment: 13 }),
    /"general\.alignment": Expected .* power of two .*, got 13/,
  ],
  KV_SUCCESS: [() => withKeys()],
  TENSORS_BAD_NAME_SIZE: [
    () => withTensors({ tensors: tensors.map(long) }),
    /at most 63 bytes of a tensor name/,
  ],
  TENSORS_BAD_N_DIMS: [() => setAll(withTensors(), /nDims$/, 5), /Expected at most 4 dimensions, got 5/],
  TENSORS_BAD_SHAPE: [() => setAll(withTensors(), /dim\d$/, -1n), /got shape \[18446744073709551615\]/],
  TENSORS_NE_TOO_BIG: [
    () => {
      const matrix = { name: "big", shape: [1, 1], type: "F32" };
      return setAll(withTensors({ tensors: [matrix] }), /dim\d$/, 4n * (2n ** 31n - 1n));
    },
    /Expected at most 9007199254740991 bytes, got shape \[8589934588, 8589934588\]/,
  ],
  TENSORS_BAD_TYPE: [
    () => setAll(withTensors(), /^tensor\..*\.type$/, 43),
    /tensor type from 0 to 42, got 43/,
  ],
  TENSORS_BAD_OFFSET: [
    () => setAll(withTensors(), /\.offset$/, MAX_U64),
    /Expected offset 0, .*, got 18446744/,
  ],
  TENSORS_DUPLICATE_NAME: [
    () => withTensors({ tensors: tensors.map(same) }),
    /each tensor once, got "my_tensor" again/,
  ],
  TENSORS_BAD_ALIGN: [() => withTensors({ alignment: 13 }), /power of two up to 1048576, got 13/],
  TENSORS_INCONSISTENT_ALIGN: [() => withTensors({ realAlignment: 1 }), /aligned to 32, got/],
  TENSORS_SUCCESS: [() => withTensors()],
  TENSORS_CUSTOM_ALIGN: [() => withTensors({ alignment: 1 })],
  DATA_NOT_ENOUGH_DATA: [() => withoutLastByte(withTensors()), /the file ends at/],
  DATA_BAD_ALIGN: [() => withTensors({ alignment: 13 }), /got 13/],
  DATA_INCONSISTENT_ALIGN: [() => withTensors({ realAlignment: 1 }), /aligned to 32, got/],
  DATA_SUCCESS: [() => withTensors()],
  DATA_CUSTOM_ALIGN: [() => withTensors({ alignment: 1 })],
};

/** Every case by its name. */
export const ggufCases: ReadonlyMap<string, GgufCase> = new Map(
  Object.entries(rows).map(([name, [build, message, type = FormatError]]) => [
    name,
    { build, message, type },
  ]),
);
