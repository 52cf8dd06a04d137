// The relaxed kernels as other processors run them: in a copy of the module each relaxed dot product is a call of a function
// that computes what such a processor does.
import { type Variant, variantBytes } from "../../src/kernels/variant.ts";
import { KernelBench } from "./kernels.ts";

/**
 * What engines make of i8x16.relaxed_dot_i8x16_i7x16 if bytes of the second operand exceed 127: they are unsigned (x86 with
 * VNNI), signed (ARM), or unsigned with pairs that saturate at 16 bits (other x86).
 */
export const dotEngines = ["unsigned", "signed", "saturating"] as const;
export type DotEngine = (typeof dotEngines)[number];

const V128 = 0x7b;
// Opcodes behind 0xfd, as they are encoded.
const op = {
  shuffle: [0xfd, 0x0d],
  extaddPairwise16: [0xfd, 0x7e],
  narrow32: [0xfd, 0x85, 0x01],
  extendLowS: [0xfd, 0x87, 0x01],
  extendHighS: [0xfd, 0x88, 0x01],
  extendLowU: [0xfd, 0x89, 0x01],
  extendHighU: [0xfd, 0x8a, 0x01],
  add32: [0xfd, 0xae, 0x01],
  dot16: [0xfd, 0xba, 0x01],
  relaxedDot: [0xfd, 0x92, 0x02],
  relaxedDotAdd: [0xfd, 0x93, 0x02],
};
const get = (local: number) => [0x20, local];
const set = (local: number) => [0x21, local];

/** A bench of the relaxed kernels on such an engine. */
export function dotEngineBench(engine: DotEngine, bytes = 8 << 20): Promise<KernelBench> {
  const module = new WebAssembly.Module(withDots(variantBytes("relaxed"), engine));
  return KernelBench.of(module, bytes);
}

/** The benches of all of them, with names. */
export function dotEngineBenches(bytes = 8 << 20): Promise<{ variant: Variant; bench: KernelBench }[]> {
  const open = async (engine: DotEngine) => ({
    variant: "relaxed" as const,
    bench: await dotEngineBench(engine, bytes),
  });
  return Promise.all(dotEngines.map(open));
}

interface Section {
  readonly id: number;
  content: number[];
}

function withDots(bytes: Uint8Array, engine: DotEngine): Uint8Array<ArrayBuffer> {
  const sections = sectionsOf(bytes);
  const section = (id: number) => sections.find((s) => s.id === id) as Section;
  const imports = new WebAssembly.Module(Uint8Array.from(bytes));
  const imported = WebAssembly.Module.imports(imports).filter(({ kind }) => kind === "function").length;
  const [types, functions, code] = [section(1), section(3), section(10)];
  const type = countOf(types);
  append(types, [0x60, 2, V128, V128, 1, V128], [0x60, 3, V128, V128, V128, 1, V128]);
  const first = imported + countOf(functions);
  append(functions, leb(type), leb(type + 1));
  replaceAll(code.content, op.relaxedDot, call(first));
  replaceAll(code.content, op.relaxedDotAdd, call(first + 1));
  append(code, pairsBody(engine), sumsBody(engine));
  const out = sections.flatMap(({ id, content }) => [id, ...leb(content.length), ...content]);
  return Uint8Array.from([...bytes.subarray(0, 8), ...out]);
}

// Sums of pairs of products, i32, of the lower and of the upper eight bytes, into two locals.
function pairs(engine: DotEngine, low: number): number[] {
  const signed = engine === "signed";
  const half = (extendX: number[], extendW: number[], to: number) => [
    ...get(0),
    ...extendX,
    ...get(1),
    ...extendW,
    ...op.dot16,
    ...set(to),
  ];
  return [
    ...half(op.extendLowS, signed ? op.extendLowS : op.extendLowU, low),
    ...half(op.extendHighS, signed ? op.extendHighS : op.extendHighU, low + 1),
  ];
}

function body(code: number[]): number[] {
  const all = [1, 2, V128, ...code, 0x0b];
  return [...leb(all.length), ...all];
}

function pairsBody(engine: DotEngine): number[] {
  return body([...pairs(engine, 2), ...get(2), ...get(3), ...op.narrow32]);
}

function sumsBody(engine: DotEngine): number[] {
  const both = [...get(3), ...get(4)];
  const lanes = (first: number) =>
    [0, 8, 16, 24].flatMap((at) => [0, 1, 2, 3].map((i) => at + 4 * first + i));
  const exact = [
    ...[...both, ...op.shuffle, ...lanes(0)],
    ...[...both, ...op.shuffle, ...lanes(1)],
    ...op.add32,
  ];
  const saturated = [...both, ...op.narrow32, ...op.extaddPairwise16];
  return body([
    ...pairs(engine, 3),
    ...(engine === "saturating" ? saturated : exact),
    ...get(2),
    ...op.add32,
  ]);
}

// A call as long as the instruction that it replaces.
function call(index: number): number[] {
  return [0x10, (index & 0x7f) | 0x80, index >> 7];
}

function replaceAll(bytes: number[], from: number[], to: number[]): void {
  let found = 0;
  for (let i = 0; i + 3 <= bytes.length; i++) {
    if (bytes[i] !== from[0] || bytes[i + 1] !== from[1] || bytes[i + 2] !== from[2]) continue;
    bytes.splice(i, 3, ...to);
    found++;
  }
  if (!found) throw new Error("no relaxed instruction in the module");
}

function sectionsOf(bytes: Uint8Array): Section[] {
  const sections: Section[] = [];
  for (let at = 8; at < bytes.length; ) {
    const id = bytes[at] as number;
    const [size, begin] = readLeb(bytes, at + 1);
    sections.push({ id, content: [...bytes.subarray(begin, begin + size)] });
    at = begin + size;
  }
  return sections;
}

function countOf({ content }: Section): number {
  return readLeb(content, 0)[0];
}

function append(section: Section, ...items: number[][]): void {
  const [count, begin] = readLeb(section.content, 0);
  section.content = [...leb(count + items.length), ...section.content.slice(begin), ...items.flat()];
}

/** An unsigned LEB128 number, and where the next byte is. */
function readLeb(bytes: ArrayLike<number>, at: number): [value: number, next: number] {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++] as number;
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return [value, at];
  }
}

function leb(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...leb(Math.floor(value / 0x80))];
}
