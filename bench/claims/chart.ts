// Small SVG charts. Pure functions: the same numbers give the same file.
import type { Chart } from "./claim.ts";
import { number } from "./words.ts";

/**
 * Colours with a contrast of at least 3 against both white and #0d1117. Charts have no background of their own, so they must
 * be readable on light and dark pages.
 */
export const palette = ["#3d7fd9", "#c9650f", "#2f9157"] as const;
/** The colour of text and lines: its contrast is at least 4 against both. */
export const INK = "#7a7a7a";

const WIDTH = 720;
const MARGIN = 12;
const TITLE_Y = 22;
const LEGEND_Y = 42;
const TOP = 58;
const FONT = 'font-family="system-ui, sans-serif" font-size="13"';

function escaped(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}

// Coordinates to a tenth of a pixel.
function at(x: number): string {
  return String(Math.round(10 * x) / 10);
}

function colour(i: number): string {
  return palette[i % palette.length] as string;
}

function text(x: number, y: number, content: string, more = ""): string {
  return `<text x="${at(x)}" y="${at(y)}"${more}>${escaped(content)}</text>`;
}

function line(x1: number, y1: number, x2: number, y2: number): string {
  return `<line x1="${at(x1)}" y1="${at(y1)}" x2="${at(x2)}" y2="${at(y2)}" stroke="${INK}" stroke-opacity="0.35"/>`;
}

// At 13 px a letter is some 7.6 px wide in the widest of the usual fonts.
function widthOf(content: string): number {
  return 7.6 * content.length;
}

function legend(names: readonly string[]): string[] {
  let x = MARGIN;
  return names.flatMap((name, i) => {
    const box = `<rect x="${at(x)}" y="${LEGEND_Y - 10}" width="11" height="11" rx="2" fill="${colour(i)}"/>`;
    const label = text(x + 17, LEGEND_Y, name);
    x += 17 + widthOf(name) + 20;
    return [box, label];
  });
}

function file(title: string, height: number, names: readonly string[], body: readonly string[]): string {
  const lines = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${at(height)}" width="${WIDTH}" height="${at(height)}" role="img" ${FONT} fill="${INK}">`,
    `<title>${escaped(title)}</title>`,
    text(MARGIN, TITLE_Y, title, ' font-weight="600"'),
    ...legend(names),
    ...body,
    "</svg>",
  ];
  return `${lines.join("\n")}\n`;
}

/** Groups of bars, with one bar for each series in a group. */
export interface BarChart {
  readonly title: string;
  readonly series: readonly string[];
  readonly groups: readonly { readonly label: string; readonly values: readonly number[] }[];
  /** The text after a bar. Default: the number. */
  readonly format?: (value: number) => string;
}

const BAR = 14;
const BAR_STEP = 17;
const GROUP_GAP = 12;
const VALUE_WIDTH = 90;

/** Horizontal bars from zero, each with its value. Values that are not positive have no bar. */
export function barChart({ title, series, groups, format = number }: BarChart): Chart {
  const labelWidth = Math.max(0, ...groups.map(({ label }) => widthOf(label)));
  const left = MARGIN + labelWidth + 10;
  const most = Math.max(0, ...groups.flatMap(({ values }) => values.filter((value) => value > 0)));
  const scale = most > 0 ? (WIDTH - left - VALUE_WIDTH) / most : 0;
  const body: string[] = [];
  let y = TOP;
  for (const { label, values } of groups) {
    const middle = y + (values.length * BAR_STEP) / 2 + 3;
    body.push(text(left - 10, middle, label, ' text-anchor="end"'));
    for (const [i, value] of values.entries()) {
      const width = value > 0 ? scale * value : 0;
      body.push(
        `<rect x="${at(left)}" y="${at(y)}" width="${at(width)}" height="${BAR}" rx="2" fill="${colour(i)}"/>`,
        text(left + width + 6, y + 11, format(value)),
      );
      y += BAR_STEP;
    }
    y += GROUP_GAP;
  }
  body.push(line(left, TOP - 4, left, y - GROUP_GAP + 2));
  return { alt: title, svg: file(title, y, series, body) };
}

/** Lines over a common x; both axes are logarithmic. */
export interface LineChart {
  readonly title: string;
  readonly xLabel: string;
  /** Ascending, positive. */
  readonly xs: readonly number[];
  /** Positive values, one for each x. */
  readonly series: readonly { readonly name: string; readonly values: readonly number[] }[];
  /** Labels of the y axis. Default: the number. */
  readonly format?: (value: number) => string;
}

const PLOT_HEIGHT = 220;
const AXIS_WIDTH = 80;

/** The powers of ten from the one at or below the smallest value to the one at or above the largest. */
export function decades(values: readonly number[]): number[] {
  const low = Math.floor(Math.log10(Math.min(...values)));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...values))));
  return Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i));
}

/** Lines with a mark at each point, on logarithmic axes. */
export function lineChart({ title, xLabel, xs, series, format = number }: LineChart): Chart {
  const ticks = decades(series.flatMap(({ values }) => values));
  const [low, high] = [Math.log(ticks[0] as number), Math.log(ticks.at(-1) as number)];
  const left = MARGIN + AXIS_WIDTH;
  const right = WIDTH - 3 * MARGIN;
  const bottom = TOP + PLOT_HEIGHT;
  const [first, last] = [Math.log(xs[0] as number), Math.log(xs.at(-1) as number)];
  const xOf = (x: number) => left + ((right - left) * (Math.log(x) - first)) / Math.max(last - first, 1e-9);
  const yOf = (y: number) => bottom - (PLOT_HEIGHT * (Math.log(y) - low)) / (high - low);
  const body = ticks.flatMap((tick) => [
    line(left, yOf(tick), right, yOf(tick)),
    text(left - 8, yOf(tick) + 4, format(tick), ' text-anchor="end"'),
  ]);
  for (const x of xs) body.push(text(xOf(x), bottom + 20, String(x), ' text-anchor="middle"'));
  body.push(text((left + right) / 2, bottom + 40, xLabel, ' text-anchor="middle"'));
  for (const [i, { values }] of series.entries()) {
    const points = values.map((y, j) => `${at(xOf(xs[j] as number))},${at(yOf(y))}`);
    body.push(
      `<polyline points="${points.join(" ")}" fill="none" stroke="${colour(i)}" stroke-width="2"/>`,
      ...points.map((point) => {
        const [x, y] = point.split(",");
        return `<circle cx="${x}" cy="${y}" r="3.5" fill="${colour(i)}"/>`;
      }),
    );
  }
  const names = series.map(({ name }) => name);
  return { alt: title, svg: file(title, bottom + 52, names, body) };
}
