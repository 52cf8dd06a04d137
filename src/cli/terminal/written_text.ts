// What a command says of a model that it has written.
import type { WrittenModel } from "../../convert.ts";
import { sizeText } from "../../util/bytes.ts";

/** One line: size, bits and types. */
export function writtenText(name: string, { bytes, bitsPerWeight, types }: WrittenModel): string {
  const counts = Object.entries(types).sort(([, a], [, b]) => b - a);
  const list = counts.map(([type, count]) => `${count} ${type}`).join(", ");
  return `${name}: ${sizeText(bytes)}, ${bitsPerWeight.toFixed(2)} bits a weight (${list})\n`;
}
