// Matches regular expressions of tokenizer.json files by backtracking, with a limit on its steps.
import { FormatError, TokenizerError, UnsupportedError } from "../../util/errors.ts";
import { CharSet, isWord } from "./char_set.ts";
import type { JsonValue } from "./json.ts";
import { type Anchor, type Node, parseRegex } from "./regex_parser.ts";

/** Most instructions of a program; counted repetitions are written out. */
const MAX_INSTRUCTIONS = 1 << 14;

/**
 * Steps that matching may take for each character of a text, and for any text at all. Patterns in use take a
 * few dozen a character; those that try exponentially many ways, or start over at every character, pass it.
 */
const STEPS_PER_CHARACTER = 200;
const STEPS = 1 << 20;
/** Most ways to go back to, of a text of a few MB by a pattern in use a few million. */
const MAX_WAYS = 1 << 23;

const NO_MATCH = -1;

const Op = {
  /** A character of the set; then the next instruction. */
  set: 0,
  /** As many characters of the set as there are, from min to max; gives them back one by one. */
  run: 1,
  /** Continues at x; if that fails, at y. */
  split: 2,
  jump: 3,
  anchor: 4,
  /** Matches the program from x on, without moving, or fails; negated the other way round; then y. */
  ahead: 5,
  /** As ahead, `min` characters before. */
  behind: 6,
  /** Matches the program from x on and keeps its first way; then y. */
  atomic: 7,
  accept: 8,
} as const;

interface Instruction {
  readonly op: number;
  readonly set: CharSet | undefined;
  readonly min: number;
  readonly max: number;
  readonly anchor: Anchor | undefined;
  readonly negated: boolean;
  x: number;
  y: number;
}

/** A match: UTF-16 units [begin, end) of a text. */
export type Match = readonly [begin: number, end: number];

/**
 * A regular expression that finds what Oniguruma finds, in bounded time: if a pattern and a text need more
 * than two hundred steps a character, matching stops with an error.
 */
export class Regex {
  readonly pattern: string;
  readonly #program: readonly Instruction[];
  readonly #stack = new Backtracking();
  #text = "";
  #stepsLeft = 0;

  /** @throws FormatError, UnsupportedError; see {@link parseRegex} */
  constructor(pattern: string) {
    this.pattern = pattern;
    this.#program = new Compiler().compile(parseRegex(pattern));
  }

  /**
   * All matches from left to right; an empty one only if none has just ended.
   * @throws TokenizerError if they take too many steps
   */
  matches(text: string): Match[] {
    this.#text = text;
    this.#stepsLeft = STEPS + STEPS_PER_CHARACTER * text.length;
    const found: Match[] = [];
    let last = NO_MATCH;
    for (let begin = 0; begin <= text.length; ) {
      const end = this.#run(0, begin);
      if (end === NO_MATCH || (end === begin && end === last)) {
        begin = this.#after(begin);
        continue;
      }
      found.push([begin, end]);
      last = begin = end;
    }
    this.#text = "";
    return found;
  }

  /** The end of the first way to match the program from an instruction and a position on. */
  #run(from: number, position: number): number {
    const program = this.#program;
    const stack = this.#stack;
    const text = this.#text;
    const bottom = stack.size;
    let at = from;
    let i = position;
    for (;;) {
      if (--this.#stepsLeft < 0 || stack.isFull) throw this.#tooSlow();
      const instruction = program[at] as Instruction;
      let next = at + 1;
      let ok = true;
      switch (instruction.op) {
        case Op.set:
          ok = i < text.length && (instruction.set as CharSet).has(characterAt(text, i));
          if (ok) i = this.#after(i);
          break;
        case Op.run: {
          const first = i;
          let n = 0;
          let least = i;
          while (
            n < instruction.max &&
            i < text.length &&
            (instruction.set as CharSet).has(characterAt(text, i))
          ) {
            i = this.#after(i);
            if (++n === instruction.min) least = i;
          }
          this.#stepsLeft -= n;
          ok = n >= instruction.min;
          if (ok && i > (instruction.min === 0 ? first : least)) {
            stack.push(next, i, instruction.min === 0 ? first : least);
          }
          break;
        }
        case Op.split:
          stack.push(instruction.y, i, i);
          next = instruction.x;
          break;
        case Op.jump:
          next = instruction.x;
          break;
        case Op.anchor:
          ok = holds(instruction.anchor as Anchor, text, i);
          break;
        case Op.ahead:
          ok = (this.#run(instruction.x, i) !== NO_MATCH) !== instruction.negated;
          next = instruction.y;
          break;
        case Op.behind: {
          const begin = back(text, i, instruction.min);
          ok = (begin !== NO_MATCH && this.#run(instruction.x, begin) === i) !== instruction.negated;
          next = instruction.y;
          break;
        }
        case Op.atomic: {
          const end = this.#run(instruction.x, i);
          ok = end !== NO_MATCH;
          if (ok) i = end;
          next = instruction.y;
          break;
        }
        default:
          stack.size = bottom;
          return i;
      }
      if (ok) {
        at = next;
        continue;
      }
      if (stack.size === bottom) return NO_MATCH;
      at = stack.instruction();
      i = stack.position();
      const least = stack.least();
      if (i === least) stack.size--;
      else {
        // A run gives one character back.
        i = before(text, i);
        if (i === least) stack.size--;
        else stack.move(i);
      }
    }
  }

  #after(i: number): number {
    return i + (i < this.#text.length && characterAt(this.#text, i) > 0xffff ? 2 : 1);
  }

  #tooSlow(): TokenizerError {
    return new TokenizerError(
      `Cannot split text: Expected the pattern ${JSON.stringify(this.pattern.slice(0, 80))} to take at most ${STEPS_PER_CHARACTER} steps a character, it takes more`,
    );
  }
}

/** Ways not tried yet: where to go on, and for runs how far back they may go. */
class Backtracking {
  size = 0;
  #values = new Int32Array(3 * 64);

  /** Whether there are more than matching may keep. */
  get isFull(): boolean {
    return this.size > MAX_WAYS;
  }

  push(instruction: number, position: number, least: number): void {
    if (3 * this.size === this.#values.length) {
      const grown = new Int32Array(2 * this.#values.length);
      grown.set(this.#values);
      this.#values = grown;
    }
    const at = 3 * this.size++;
    this.#values[at] = instruction;
    this.#values[at + 1] = position;
    this.#values[at + 2] = least;
  }

  instruction(): number {
    return this.#values[3 * this.size - 3] as number;
  }

  position(): number {
    return this.#values[3 * this.size - 2] as number;
  }

  least(): number {
    return this.#values[3 * this.size - 1] as number;
  }

  move(position: number): void {
    this.#values[3 * this.size - 2] = position;
  }
}

class Compiler {
  readonly #program: Instruction[] = [];

  compile(node: Node): readonly Instruction[] {
    this.#emit(node);
    this.#add(Op.accept);
    return this.#program;
  }

  #emit(node: Node): void {
    switch (node.kind) {
      case "set":
        this.#add(Op.set, { set: node.set });
        break;
      case "sequence":
        for (const part of node.parts) this.#emit(part);
        break;
      case "choice":
        this.#emitChoice(node.parts);
        break;
      case "anchor":
        this.#add(Op.anchor, { anchor: node.anchor });
        break;
      case "repeat":
        this.#emitRepeat(node);
        break;
      case "atomic":
        this.#emitSub(this.#add(Op.atomic), node.part);
        break;
      case "look":
        this.#emitLook(node);
        break;
    }
  }

  #emitChoice(parts: readonly Node[]): void {
    const jumps: Instruction[] = [];
    for (const [i, part] of parts.entries()) {
      if (i === parts.length - 1) {
        this.#emit(part);
        continue;
      }
      const split = this.#add(Op.split);
      split.x = this.#program.length;
      this.#emit(part);
      jumps.push(this.#add(Op.jump));
      split.y = this.#program.length;
    }
    for (const jump of jumps) jump.x = this.#program.length;
  }

  #emitRepeat(node: Extract<Node, { kind: "repeat" }>): void {
    const { part, min, max, mode } = node;
    if (mode === "possessive") {
      this.#emitSub(this.#add(Op.atomic), { ...node, mode: "greedy" });
      return;
    }
    if (part.kind === "set" && mode === "greedy") {
      this.#add(Op.run, { set: part.set, min, max });
      return;
    }
    for (let i = 0; i < min; i++) this.#emit(part);
    if (max === Number.POSITIVE_INFINITY) this.#emitLoop(part, mode === "lazy");
    else this.#emitOptional(part, max - min, mode === "lazy");
  }

  #emitLoop(part: Node, isLazy: boolean): void {
    // A round that matches nothing would never end.
    if (leastWidth(part) === 0) throw unsupported("an unlimited repetition of what may be empty");
    const split = this.#add(Op.split);
    const begin = this.#program.length;
    this.#emit(part);
    this.#add(Op.jump).x = begin - 1;
    this.#branch(split, begin, isLazy);
  }

  #emitOptional(part: Node, n: number, isLazy: boolean): void {
    const splits: [split: Instruction, begin: number][] = [];
    for (let i = 0; i < n; i++) {
      const split = this.#add(Op.split);
      splits.push([split, this.#program.length]);
      this.#emit(part);
    }
    for (const [split, begin] of splits) this.#branch(split, begin, isLazy);
  }

  /** Makes a split go to `begin`, or past the end of the program so far. */
  #branch(split: Instruction, begin: number, isLazy: boolean): void {
    split.x = isLazy ? this.#program.length : begin;
    split.y = isLazy ? begin : this.#program.length;
  }

  #emitLook({ part, behind, negated }: Extract<Node, { kind: "look" }>): void {
    if (!behind) {
      this.#emitSub(this.#add(Op.ahead, { negated }), part);
      return;
    }
    // One look for each alternative, as each has its own width.
    const parts = part.kind === "choice" ? part.parts : [part];
    const looks = parts.map((alternative): Node => ({ kind: "look", part: alternative, behind, negated }));
    if (parts.length > 1) this.#emit({ kind: negated ? "sequence" : "choice", parts: looks });
    else
      this.#emitSub(this.#add(Op.behind, { negated, min: fixedWidth(parts[0] as Node) }), parts[0] as Node);
  }

  /** A program of its own after an instruction that runs it and goes on behind it. */
  #emitSub(instruction: Instruction, part: Node): void {
    instruction.x = this.#program.length;
    this.#emit(part);
    this.#add(Op.accept);
    instruction.y = this.#program.length;
  }

  #add(op: number, rest: Partial<Instruction> = {}): Instruction {
    if (this.#program.length === MAX_INSTRUCTIONS) {
      throw unsupported(`a regular expression of more than ${MAX_INSTRUCTIONS} steps`);
    }
    const { set, min = 0, max = 0, anchor, negated = false } = rest;
    const instruction: Instruction = { op, set, min, max, anchor, negated, x: 0, y: 0 };
    this.#program.push(instruction);
    return instruction;
  }
}

/** The fewest characters that a node matches. */
function leastWidth(node: Node): number {
  switch (node.kind) {
    case "set":
      return 1;
    case "sequence":
      return node.parts.reduce((sum, part) => sum + leastWidth(part), 0);
    case "choice":
      return Math.min(...node.parts.map(leastWidth));
    case "repeat":
      return node.min * leastWidth(node.part);
    case "atomic":
      return leastWidth(node.part);
    default:
      return 0;
  }
}

/** The characters that a node matches, always the same number. @throws UnsupportedError if that varies */
function fixedWidth(node: Node): number {
  const widths = widthsOf(node);
  if (widths.min !== widths.max) throw unsupported("a look behind of varying width");
  return widths.min;
}

function widthsOf(node: Node): { min: number; max: number } {
  const min = leastWidth(node);
  switch (node.kind) {
    case "sequence":
      return { min, max: node.parts.reduce((sum, part) => sum + widthsOf(part).max, 0) };
    case "choice":
      return { min, max: Math.max(...node.parts.map((part) => widthsOf(part).max)) };
    case "repeat":
      return { min, max: node.max === 0 ? 0 : node.max * widthsOf(node.part).max };
    case "atomic":
      return widthsOf(node.part);
    default:
      return { min, max: min };
  }
}

function unsupported(what: string): UnsupportedError {
  return new UnsupportedError(
    `${what} in a regular expression is not supported; supported: repetitions of what is not empty, look-behind of a fixed width`,
  );
}

function holds(anchor: Anchor, text: string, i: number): boolean {
  switch (anchor) {
    case "start":
      return i === 0;
    case "end":
      return i === text.length;
    case "lastLineEnd":
      return i === text.length || (i === text.length - 1 && text[i] === "\n");
    case "lineStart":
      return i === 0 || (text[i - 1] === "\n" && i < text.length);
    case "lineEnd":
      return i === text.length || text[i] === "\n";
    case "boundary":
      return isBoundary(text, i);
    case "noBoundary":
      return !isBoundary(text, i);
  }
}

function isBoundary(text: string, i: number): boolean {
  const left = i > 0 && words.has(characterAt(text, before(text, i)));
  const right = i < text.length && words.has(characterAt(text, i));
  return left !== right;
}

const words = new CharSet(isWord);

function characterAt(text: string, i: number): number {
  const unit = text.charCodeAt(i);
  return (unit & 0xfc00) === 0xd800 ? (text.codePointAt(i) as number) : unit;
}

/** Where the character that ends at `i` begins. */
function before(text: string, i: number): number {
  const isPair =
    i > 1 && (text.charCodeAt(i - 1) & 0xfc00) === 0xdc00 && (text.charCodeAt(i - 2) & 0xfc00) === 0xd800;
  return i - (isPair ? 2 : 1);
}

/** The position `n` characters before `i`, or NO_MATCH. */
function back(text: string, i: number, n: number): number {
  let position = i;
  for (let left = n; left > 0; left--) {
    if (position === 0) return NO_MATCH;
    position = before(text, position);
  }
  return position;
}

/**
 * A regular expression from a file.
 * @throws FormatError, UnsupportedError that name its place; see {@link parseRegex}
 */
export function readRegex(json: JsonValue): Regex {
  const pattern = json.string();
  try {
    return new Regex(pattern);
  } catch (cause) {
    if (cause instanceof UnsupportedError || cause instanceof FormatError) throw json.wrapped(cause);
    throw cause;
  }
}
