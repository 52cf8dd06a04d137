// Measures the nll of a text with f32 and with q8 weights, in every runtime that cria is measured in.
import { scoredText, WINDOW } from "../quality.ts";
import { sharedPath, trainedTales } from "../shared.ts";
import { type Column, columns } from "./groups.ts";
import { type PeerName, PeerProcess } from "./peer_process.ts";
import type { Nll, Quality } from "./results.ts";

interface Model {
  readonly name: string;
  readonly path: string;
}

function models(skipped: string[]): Model[] {
  const stories = sharedPath("models/stories260K/stories260K-f32.gguf");
  if (!stories) skipped.push("nll of stories260K: ../shared/models is absent");
  return [
    { name: "tales", path: trainedTales },
    ...(stories ? [{ name: "stories260K", path: stories }] : []),
  ];
}

/** Scores the same text with weights of both precisions, with one thread. */
export async function measureQuality(peers: readonly PeerName[], skipped: string[]): Promise<Quality[]> {
  const { text } = scoredText();
  const results = models(skipped).map(({ name, path }) => ({
    model: name,
    path,
    nll: {} as Partial<Record<Column, Nll>>,
  }));
  for (const column of columns.filter((column) => peers.includes(column))) {
    const peer = new PeerProcess(column);
    try {
      for (const { path, nll } of results) {
        const of = (precision: "f32" | "q8") => peer.nll({ file: path, precision, text, window: WINDOW });
        nll[column] = { f32: await of("f32"), q8: await of("q8") };
      }
    } catch (error) {
      skipped.push(`nll, ${column}: ${(error as Error).message.split("\n")[0]}`);
    } finally {
      await peer.end();
    }
  }
  return results.map(({ model, nll }) => ({ model, nll }));
}
