/** Where ids go. With `starts` and `ends`, UTF-16 offsets in the text go there, see `TokenOffsets`. */
export interface TokenSink {
  readonly ids: number[];
  readonly starts?: number[];
  readonly ends?: number[];
}

/** One id, and the part of the text that it stands for. */
export function pushToken(out: TokenSink, id: number, start: number, end: number): void {
  out.ids.push(id);
  out.starts?.push(start);
  out.ends?.push(end);
}
