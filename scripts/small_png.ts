// Makes screenshots small: a palette of at most 256 colours in place of 24 bits for each pixel.
import { crc32, deflateSync, inflateSync } from "node:zlib";

const SIGNATURE = 8;

/** The same picture with its 256 most frequent colours; others become the nearest of them. PNG of 8 bits, RGB or RGBA, not interlaced. */
export function smallPng(png: Buffer): Buffer {
  const { width, height, channels, rows } = decode(png);
  const counts = new Map<number, number>();
  const colors = new Uint32Array(width * height);
  for (let i = 0; i < colors.length; i++) {
    const at = i * channels;
    const color = ((rows[at] as number) << 16) | ((rows[at + 1] as number) << 8) | (rows[at + 2] as number);
    colors[i] = color;
    counts.set(color, (counts.get(color) ?? 0) + 1);
  }
  const palette = [...counts]
    .sort((a, b) => b[1] - a[1])
    .slice(0, 256)
    .map(([color]) => color);
  const indexes = new Map([...counts.keys()].map((color) => [color, nearest(color, palette)]));
  const pixels = Buffer.alloc(height * (width + 1));
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      pixels[y * (width + 1) + x + 1] = indexes.get(colors[y * width + x] as number) as number;
    }
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 3, 0, 0, 0], 8);
  const entries = Buffer.from(palette.flatMap((color) => [color >> 16, (color >> 8) & 255, color & 255]));
  return Buffer.concat([
    png.subarray(0, SIGNATURE),
    chunk("IHDR", header),
    chunk("PLTE", entries),
    chunk("IDAT", deflateSync(pixels, { level: 9, memLevel: 9 })),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

function nearest(color: number, palette: readonly number[]): number {
  let best = 0;
  let least = Number.POSITIVE_INFINITY;
  for (const [i, other] of palette.entries()) {
    const [r, g, b] = [16, 8, 0].map((shift) => ((color >> shift) & 255) - ((other >> shift) & 255));
    const distance = (r as number) ** 2 + (g as number) ** 2 + (b as number) ** 2;
    if (distance < least) [best, least] = [i, distance];
  }
  return best;
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const made = Buffer.alloc(body.length + 8);
  made.writeUInt32BE(data.length, 0);
  made.set(body, 4);
  made.writeUInt32BE(crc32(body), body.length + 4);
  return made;
}

/** Bytes of all rows, without their filters. */
function decode(png: Buffer): { width: number; height: number; channels: number; rows: Uint8Array } {
  const width = png.readUInt32BE(16);
  const height = png.readUInt32BE(20);
  const channels = png[25] === 6 ? 4 : 3;
  const parts: Buffer[] = [];
  for (let at = SIGNATURE; at < png.length; at += png.readUInt32BE(at) + 12) {
    if (png.toString("latin1", at + 4, at + 8) === "IDAT") {
      parts.push(png.subarray(at + 8, at + 8 + png.readUInt32BE(at)));
    }
  }
  const filtered = inflateSync(Buffer.concat(parts));
  const stride = width * channels;
  const rows = new Uint8Array(height * stride);
  for (let i = 0; i < rows.length; i++) {
    const [y, x] = [Math.floor(i / stride), i % stride];
    const left = x < channels ? 0 : (rows[i - channels] as number);
    const up = y === 0 ? 0 : (rows[i - stride] as number);
    const corner = x < channels || y === 0 ? 0 : (rows[i - stride - channels] as number);
    const filter = filtered[y * (stride + 1)] as number;
    const guess = [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter] as number;
    rows[i] = (filtered[y * (stride + 1) + 1 + x] as number) + guess;
  }
  return { width, height, channels, rows };
}

// PNG specification, 9.4.
function paeth(left: number, up: number, corner: number): number {
  const sum = left + up - corner;
  const [a, b, c] = [Math.abs(sum - left), Math.abs(sum - up), Math.abs(sum - corner)];
  if (a <= b && a <= c) return left;
  return b <= c ? up : corner;
}
