// A bar chart of medians as SVG: a panel for each model and measurement, a bar for each peer.
import type { PeerName } from "./peer_process.ts";
import { type Medians, peerTitles } from "./results.ts";

const WIDTH = 920;
const PANEL_WIDTH = 440;
const GAP = 40;
const BAR = 18;
const STEP = 24;
const LABEL = 180;
const VALUE = 60;
const HEAD = 30;
const TOP = 16;

const STYLE = `
    text { font: 12px system-ui, sans-serif; fill: #24292f; }
    .head { font-weight: 600; }
    .native { fill: #8c959f; } .wllama, .fugood { fill: #c9a46b; }
    .memory { fill: #d8dee4; }
    .deno, .bun, .chromium { fill: #2f74c0; }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3; }
      .memory { fill: #484f58; }
      .deno, .bun, .chromium { fill: #58a6ff; }
    }`;

interface Panel {
  readonly title: string;
  readonly bars: readonly { readonly peer: PeerName; readonly value: number }[];
}

function panel(
  all: readonly Medians[],
  title: string,
  metric: "decodeTokensPerS" | "prefillTokensPerS",
): Panel {
  const most = Math.max(...all.map(({ threads }) => threads));
  const bars = all
    .filter(({ threads }) => threads === most)
    .flatMap((one) => {
      const value = one[metric];
      return value === undefined ? [] : [{ peer: one.peer as PeerName, value }];
    });
  return { title, bars };
}

function panelsOf(all: readonly Medians[]): Panel[] {
  return [...new Set(all.map(({ model }) => model))].flatMap((model) => {
    const own = all.filter((one) => one.model === model);
    const decode = panel(own, `${model}: decode, tokens/s`, "decodeTokensPerS");
    const prefill = panel(own, `${model}: prefill, tokens/s`, "prefillTokensPerS");
    return [decode, prefill].filter(({ bars }) => bars.length > 0);
  });
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}

function draw({ title, bars }: Panel, x: number, y: number): string {
  const scale = (PANEL_WIDTH - LABEL - VALUE) / Math.max(...bars.map(({ value }) => value));
  const lines = bars.map(({ peer, value }, i) => {
    const top = y + HEAD + i * STEP;
    const width = Math.max(1, value * scale).toFixed(1);
    const middle = top + BAR / 2 + 4;
    return [
      `<text x="${x + LABEL - 8}" y="${middle}" text-anchor="end">${escaped(peerTitles[peer])}</text>`,
      `<rect class="${peer}" x="${x + LABEL}" y="${top}" width="${width}" height="${BAR}" rx="2"/>`,
      `<text x="${(x + LABEL + Number(width) + 6).toFixed(1)}" y="${middle}">${Number(value.toPrecision(3))}</text>`,
    ].join("");
  });
  return [`<text class="head" x="${x}" y="${y + 16}">${escaped(title)}</text>`, ...lines].join("\n  ");
}

/** The chart of all medians, two panels in a row; readable on light and dark pages. */
export function chart(all: readonly Medians[]): string {
  const panels = panelsOf(all);
  const drawn: string[] = [];
  let y = TOP;
  for (let i = 0; i < panels.length; i += 2) {
    const pair = panels.slice(i, i + 2);
    pair.forEach((one, column) => {
      drawn.push(draw(one, column * (PANEL_WIDTH + GAP), y));
    });
    y += HEAD + Math.max(...pair.map(({ bars }) => bars.length)) * STEP + 20;
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" width="${WIDTH}" height="${y}" role="img">
  <title>Tokens per second of cria and its peers</title>
  <style>${STYLE}
  </style>
  ${drawn.join("\n  ")}
</svg>
`;
}
