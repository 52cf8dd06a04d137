// A line on standard error that says how far something is: redrawn on a terminal, a line every tenth elsewhere.
import { setInterval } from "node:timers";
import { oneLine } from "./args.ts";
import { canRedraw, columnsOf, fitWidth, type TerminalStream, textWidth } from "./terminal.ts";

/** The part of a standard stream that a status line needs. */
export interface StatusStream extends TerminalStream {
  write(text: string): unknown;
}

/** What a line says. */
export interface Status {
  readonly title: string;
  /** How much is done, 0 to 1; undefined when it is not known. */
  readonly fraction?: number | undefined;
  /** Sizes, rates and the like, the most important first: the last ones are left out on a narrow terminal. */
  readonly details?: readonly string[];
}

/** How a line is shown. */
export interface StatusDisplay {
  /** Whether it is redrawn. Default: whether the stream is a terminal that can. */
  readonly redraws?: boolean;
  /** Least time between two lines when the line is not redrawn. Default 0. */
  readonly gapMs?: number;
  /** A clock in milliseconds. */
  readonly now?: () => number;
}

/** Work that ends within this time needs no line. */
const DELAY_MS = 200;
/** A terminal's line is drawn at most ten times a second. */
const REDRAW_MS = 100;
/** If tenths cannot be counted, a line is written at this interval. */
const UNKNOWN_MS = 10_000;

/** A line that is shown after {@link DELAY_MS}, until `clear`. */
export class StatusLine {
  readonly #stream: StatusStream;
  readonly #redraws: boolean;
  readonly #gapMs: number;
  readonly #now: () => number;
  readonly #begin: number;
  readonly #timer: ReturnType<typeof setInterval>;
  #status: Status;
  #shown = "";
  #shownAt = Number.NEGATIVE_INFINITY;
  #appended = { title: "", tenth: -1 };

  constructor(stream: StatusStream, status: Status, display: StatusDisplay = {}) {
    const { redraws = canRedraw(stream), gapMs = 0, now } = display;
    this.#stream = stream;
    this.#redraws = redraws;
    this.#gapMs = gapMs;
    this.#now = now ?? (() => performance.now());
    this.#begin = this.#now();
    this.#status = status;
    // Also shows the line if no update comes, and the last update before a silence.
    this.#timer = setInterval(() => this.#show(), REDRAW_MS);
    this.#timer.unref();
  }

  /** Updates the line. */
  update(status: Status): void {
    this.#status = status;
    this.#show();
  }

  /** Clears the line. Nothing is shown afterwards, unless there is an update. */
  clear(): void {
    clearInterval(this.#timer);
    if (this.#redraws && this.#shown !== "") this.#stream.write("\r\x1b[K");
    this.#shown = "";
  }

  #show(): void {
    if (this.#redraws) this.#redraw();
    else this.#append();
  }

  #redraw(): void {
    const now = this.#now();
    if (now - this.#begin < DELAY_MS || now - this.#shownAt < REDRAW_MS) return;
    // The last column stays free: some terminals start a new line after it.
    const line = statusText(this.#status, columnsOf(this.#stream) - 1);
    if (line === this.#shown) return;
    this.#shown = line;
    this.#shownAt = now;
    this.#stream.write(`\r${line}\x1b[K`);
  }

  #append(): void {
    const now = this.#now();
    if (now - this.#begin < DELAY_MS || now - this.#shownAt < this.#gapMs) return;
    const fraction = validFraction(this.#status);
    const tenth = fraction === undefined ? -1 : Math.floor(10 * fraction);
    const { title } = this.#status;
    const isNew = title !== this.#appended.title || tenth > this.#appended.tenth;
    if (!isNew && (fraction !== undefined || now - this.#shownAt < UNKNOWN_MS)) return;
    this.#appended = { title, tenth };
    this.#shownAt = now;
    this.#stream.write(`${statusText(this.#status, Number.POSITIVE_INFINITY)}\n`);
  }
}

/** A status on one line of at most `columns`. */
export function statusText(status: Status, columns: number): string {
  const title = oneLine(status.title);
  const fraction = validFraction(status);
  const percent = fraction === undefined ? "" : `${String(Math.floor(100 * fraction)).padStart(3)}%`;
  const details = [...(status.details ?? [])];
  if (percent !== "" && details[0] !== undefined) details[0] = `${percent} ${details[0]}`;
  else if (percent !== "") details.unshift(percent);
  for (; ; details.pop()) {
    const rest = details.length > 0 ? ` ${details.join(", ")}` : "";
    const room = columns - textWidth(rest);
    // A part of the title is worth more than the last detail.
    if (textWidth(title) <= room || (details.length <= 1 && room >= MIN_TITLE))
      return fitWidth(title, room) + rest;
    if (details.length <= 1) return fitWidth(percent.trim() || title, Math.max(columns, 0));
  }
}

const MIN_TITLE = 8;

function validFraction({ fraction }: Status): number | undefined {
  if (fraction === undefined || Number.isNaN(fraction)) return undefined;
  return Math.min(1, Math.max(0, fraction));
}
