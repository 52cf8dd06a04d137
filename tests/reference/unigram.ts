// Scalar twin of src/tokenizer/sentencepiece/unigram.ts: for every end all pieces that end there, each written out.
import { type SentencePieceData, TokenType } from "../../src/tokenizer/core/vocabulary_data.ts";

/** The texts that `text` is split into, by the greatest sum of scores; sums rounded by `round`. */
export function segmentUnigram(
  data: SentencePieceData,
  text: string,
  round: (sum: number) => number,
): string[] {
  const { pieces, scores, types } = data;
  const of = (type: number) => pieces.map((_, id) => id).filter((id) => types[id] === type);
  const normal = of(TokenType.normal);
  const least = Math.min(round(3.4028234663852886e38), ...normal.map((id) => round(scores[id] as number)));
  const most = Math.max(2 ** -126, ...normal.map((id) => round(scores[id] as number)));
  const candidates = new Map(normal.map((id) => [pieces[id] as string, round(scores[id] as number)]));
  for (const id of of(TokenType.userDefined)) {
    const piece = pieces[id] as string;
    candidates.set(piece, round(new TextEncoder().encode(piece).length * most) - 0.1);
  }
  const characters = [...text];
  const paths: { sum: number; parts: string[] }[] = [{ sum: 0, parts: [] }];
  for (let end = 1; end <= characters.length; end++) {
    let best: { sum: number; parts: string[] } | undefined;
    for (let begin = 0; begin < end; begin++) {
      const part = characters.slice(begin, end).join("");
      const score = candidates.get(part);
      const isUnknown = score === undefined && end === begin + 1;
      if (score === undefined && !isUnknown) continue;
      const { sum, parts } = paths[begin] as { sum: number; parts: string[] };
      const total = isUnknown ? round(sum + round(least - 10)) : sum + (score as number);
      if (best === undefined || total > best.sum) best = { sum: round(total), parts: [...parts, part] };
    }
    paths.push(best as { sum: number; parts: string[] });
  }
  return (paths.at(-1) as { parts: string[] }).parts;
}
