// Writes a GGUF file: header first, then tensor by tensor, piece by piece.
import type { OutputWriter } from "../runtime/output_file.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { alignUp } from "../util/bytes.ts";
import { FormatError } from "../util/errors.ts";
import { ALIGNMENT, headerBytes, type StoredKey, tensorBytes } from "./gguf_parts.ts";
import type { ConvertProgress, WrittenModel } from "./options.ts";
import { type PlannedPiece, type PlannedTensor, piecesOf } from "./pieces.ts";
import { Quantizer, type Refusal } from "./quantizer.ts";

/** A model to write. */
export interface PlannedModel {
  readonly keys: readonly StoredKey[];
  readonly tensors: readonly PlannedTensor[];
}

/** How it is written. */
export interface Writing {
  readonly threads?: number | undefined;
  readonly onProgress?: ((progress: ConvertProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Writes a model. While one piece is quantized, the one before it is written and the next one is read. No more than a few
 * pieces are in memory.
 * @throws FormatError for values that are not finite or too large; what sources and the writer throw; the signal's reason
 */
export async function writeModel(
  writer: OutputWriter,
  { keys, tensors }: PlannedModel,
  runtime: Runtime,
  { threads = runtime.cores, onProgress, signal }: Writing,
): Promise<WrittenModel> {
  const header = headerBytes(keys, tensors);
  const pieces = tensors.flatMap((tensor) => largestOf(tensor));
  const isWork = pieces.some(({ copied }) => !copied);
  const most = (of: (piece: PlannedPiece) => number) => Math.max(0, ...pieces.map(of));
  const quantizer = new Quantizer(
    runtime,
    isWork ? threads : 1,
    alignUp(
      most(({ srcBytes }) => srcBytes),
      16,
    ),
    alignUp(
      most(({ outBytes }) => outBytes),
      16,
    ),
  );
  const totalBytes = tensors.reduce((sum, { info }) => sum + info.byteLength, 0);
  let loadedBytes = 0;
  let before: Begun | undefined;
  try {
    await writer.write(header);
    let half = 0;
    for (const tensor of tensors) {
      for (const piece of piecesOf(tensor)) {
        signal?.throwIfAborted();
        await tensor.info.source.read(piece.offset, quantizer.input(half, piece.srcBytes));
        checkRefusal(before?.piece, await before?.computing);
        const computing = piece.copied ? undefined : quantizer.quantize(half, piece, signal);
        // If something else fails first, no unhandled rejection must be left behind.
        computing?.catch(() => {});
        await writePiece(writer, quantizer, before);
        before = { piece, half, computing };
        half = 1 - half;
        loadedBytes += piece.srcBytes;
        onProgress?.({ loadedBytes, totalBytes, tensor: tensor.name });
      }
    }
    checkRefusal(before?.piece, await before?.computing);
    await writePiece(writer, quantizer, before);
    signal?.throwIfAborted();
  } finally {
    quantizer.close();
  }
  return summary(header.length, tensors);
}

interface Begun {
  readonly piece: PlannedPiece;
  readonly half: number;
  readonly computing: Promise<Refusal | undefined> | undefined;
}

/** The first piece of a tensor, which none is larger than. */
function largestOf(tensor: PlannedTensor): PlannedPiece[] {
  const { value } = piecesOf(tensor).next();
  return value ? [value] : [];
}

async function writePiece(
  writer: OutputWriter,
  quantizer: Quantizer,
  begun: Begun | undefined,
): Promise<void> {
  if (!begun) return;
  const { piece, half } = begun;
  await writer.write(
    piece.copied ? quantizer.input(half, piece.srcBytes).slice() : quantizer.output(half, piece.outBytes),
  );
  const size = tensorBytes(piece.tensor);
  if (piece.isLast) await writer.write(new Uint8Array(alignUp(size, ALIGNMENT) - size));
}

function checkRefusal(piece: PlannedPiece | undefined, refusal: Refusal | undefined): void {
  if (!piece || !refusal) return;
  const { info, type } = piece.tensor;
  const what = `Cannot write tensor ${info.name} of ${info.source.name} as ${type}`;
  throw new FormatError(
    refusal === "not finite"
      ? `${what}: Expected finite values, got NaN or infinity`
      : `${what}: Expected values whose scales are at most 65504, got larger ones, which F32 can hold`,
  );
}

function summary(headerBytes: number, tensors: readonly PlannedTensor[]): WrittenModel {
  const types: Record<string, number> = {};
  let data = 0;
  let bytes = headerBytes;
  let parameters = 0;
  for (const tensor of tensors) {
    types[tensor.type] = (types[tensor.type] ?? 0) + 1;
    data += tensorBytes(tensor);
    bytes += alignUp(tensorBytes(tensor), ALIGNMENT);
    parameters += tensor.shape.reduce((product, dim) => product * dim, 1);
  }
  return { bytes, parameters, bitsPerWeight: (8 * data) / parameters, types };
}
