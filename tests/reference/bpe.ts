// Scalar twin of src/tokenizer/sentencepiece/bpe.ts: quadratic, one scan of the text for each merge.

export type PieceKind = "normal" | "userDefined" | "unused";

export interface ScoredPiece {
  readonly text: string;
  readonly score: number;
  readonly kind: PieceKind;
}

interface Symbol {
  readonly text: string;
  readonly frozen: boolean;
}

/** The texts that `text` is split into. */
export function segmentBpe(pieces: readonly ScoredPiece[], text: string): string[] {
  const mergeable = new Map<string, ScoredPiece>();
  for (const piece of pieces) {
    if (piece.kind !== "userDefined" && !mergeable.has(piece.text)) mergeable.set(piece.text, piece);
  }
  const find = (wanted: string) => mergeable.get(wanted);
  const splits = new Map<string, [string, string]>();
  const symbols = splitCharacters(pieces, text);
  const scoreAt = (i: number) => {
    const [left, right] = [symbols[i], symbols[i + 1]];
    if (left === undefined || right === undefined || left.frozen || right.frozen) return undefined;
    const piece = find(left.text + right.text);
    return piece === undefined ? undefined : { piece, left: left.text, right: right.text };
  };
  const notice = (i: number) => {
    const found = scoreAt(i);
    if (found?.piece.kind === "unused") splits.set(found.piece.text, [found.left, found.right]);
  };
  for (let i = 0; i < symbols.length; i++) notice(i);
  for (;;) {
    let best = -1;
    let bestScore = Number.NaN;
    for (let i = 0; i < symbols.length; i++) {
      const score = scoreAt(i)?.piece.score;
      if (score !== undefined && !(score <= bestScore)) {
        best = i;
        bestScore = score;
      }
    }
    if (best < 0) break;
    const merged = scoreAt(best) as { left: string; right: string };
    symbols.splice(best, 2, { text: merged.left + merged.right, frozen: false });
    notice(best - 1);
    notice(best);
  }
  const replaceUnused = (symbol: string): string[] => {
    const split = find(symbol)?.kind === "unused" ? splits.get(symbol) : undefined;
    return split === undefined ? [symbol] : split.flatMap(replaceUnused);
  };
  return symbols.flatMap((symbol) => (symbol.frozen ? [symbol.text] : replaceUnused(symbol.text)));
}

/** Characters, and the longest user-defined symbol wherever one begins. */
function splitCharacters(pieces: readonly ScoredPiece[], text: string): Symbol[] {
  const userDefined = pieces.filter((piece) => piece.kind === "userDefined");
  const symbols: Symbol[] = [];
  for (let i = 0; i < text.length; ) {
    const begins = userDefined.filter((piece) => text.startsWith(piece.text, i));
    const longest = begins.reduce((best, piece) => (piece.text.length > best.length ? piece.text : best), "");
    const symbol = longest || String.fromCodePoint(text.codePointAt(i) as number);
    symbols.push({ text: symbol, frozen: longest !== "" });
    i += symbol.length;
  }
  return symbols;
}
