// A text as UTF-16 units and the class of each character: what scanners read.
import { classOf, unicodeTables } from "../unicode/characters.ts";

const REPLACEMENT = 0xfffd;

/** A text as UTF-16 units and the class of each. */
export class ClassifiedText {
  readonly length: number;
  /** Well-formed: a lone surrogate has become U+FFFD. Reused memory: only the first `length` count. */
  readonly units: Uint16Array;
  /** {@link Class} of the character that a unit is of, the same for both halves of a pair. */
  readonly classes: Uint16Array;

  /** Copies a text, into the memory of `reused` if that is large enough. */
  constructor(text: string, reused?: ClassifiedText) {
    const n = text.length;
    const fits = reused !== undefined && reused.units.length >= n;
    const units = fits ? reused.units : new Uint16Array(n);
    const classes = fits ? reused.classes : new Uint16Array(n);
    const { basic } = unicodeTables();
    for (let i = 0; i < n; i++) {
      const unit = text.charCodeAt(i);
      units[i] = unit;
      classes[i] = basic[unit] as number;
      if ((unit & 0xf800) !== 0xd800) continue;
      const low = i + 1 < n ? text.charCodeAt(i + 1) : 0;
      if (unit < 0xdc00 && (low & 0xfc00) === 0xdc00) {
        units[i + 1] = low;
        classes[i] = classes[i + 1] = classOf(0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00));
        i++;
      } else {
        units[i] = REPLACEMENT;
      }
    }
    this.length = n;
    this.units = units;
    this.classes = classes;
  }
}

/** Units of the character at `i`. */
export function widthAt(units: Uint16Array, i: number): number {
  return ((units[i] as number) & 0xfc00) === 0xd800 ? 2 : 1;
}

/** The code point at `i`. */
export function characterAt(units: Uint16Array, i: number): number {
  const unit = units[i] as number;
  if ((unit & 0xfc00) !== 0xd800) return unit;
  return 0x10000 + ((unit - 0xd800) << 10) + ((units[i + 1] as number) - 0xdc00);
}
