// Where a written model goes: a file or a stream.
import { type OutputWriter, openOutput } from "../runtime/output_file.ts";
import { describeValue } from "../util/describe.ts";
import { UsageError } from "../util/errors.ts";

/** A path, or a stream of the caller's own, which is closed at the end and aborted after an error. */
export type ModelOutput = string | WritableStream<Uint8Array>;

/** @throws UsageError for anything else than ModelOutput; as openOutput */
export async function openModelOutput(output: ModelOutput, inputs: readonly string[]): Promise<OutputWriter> {
  if (typeof output === "string" && output !== "") return openOutput(output, inputs);
  if (typeof output !== "object" || typeof output?.getWriter !== "function") {
    throw new UsageError(
      `Cannot write a model: Expected a path or a WritableStream, got ${describeValue(output)}`,
    );
  }
  const writer = output.getWriter();
  return {
    write: (bytes) => writer.write(bytes),
    finish: () => writer.close(),
    discard: () => writer.abort().catch(() => {}),
  };
}

/** What messages call an output. */
export function outputName(output: ModelOutput): string {
  return typeof output === "string" ? output : "the stream";
}
