// Bytes and elements of every block that both sides address. Imports nothing; untyped on purpose.

// ---- Weights. A matrix [rows, cols] is stored as strips of TILE_ROWS rows; a strip is the sequence of its
// column blocks (tiles). Rows are zero-padded to TILE_ROWS, columns to BLOCK_COLS. The four rows of a strip
// share each vector ("rows in lanes"), so that one broadcast activation meets four rows at once and no
// horizontal sum remains. Strips are short on purpose: a kernel walks several at once, and several read
// streams draw more from memory than one.

/** Rows of one weight tile, one in each 32-bit lane. */
export const TILE_ROWS = 4;
/** Columns that share one quantization scale, in weights and in activations. */
export const BLOCK_COLS = 32;
/**
 * q8 tile: for each row a pair of i16, minus the sum of its int8, and its scale as f16 (one vector, which one load
 * brings for both); 8 vectors of (4 rows x 4 columns) int8.
 */
export const Q8_TILE_BYTES = 144;
/** Bytes between the pairs of two rows, and where the scale is in a pair. */
export const Q8_TILE_PAIR = 4;
export const Q8_TILE_SCALE = 2;
export const Q8_TILE_VALUES = 16;
/**
 * q4 tile: f16 [4] scales; 4 vectors of (4 rows x 4 bytes): the low nibbles of vector v are columns
 * 4v..4v+3, the high nibbles columns 16+4v..16+4v+3. A nibble n stands for n - 8.
 */
export const Q4_TILE_BYTES = 72;
export const Q4_TILE_VALUES = 8;
/** f32 tile: [32 columns][4 rows]. */
export const F32_TILE_BYTES = 512;

/** Weight types, as records name them. */
export const WEIGHT_F32 = 0;
export const WEIGHT_Q8 = 1;
export const WEIGHT_Q4 = 2;

// ---- File blocks that pack.ts reads.
export const FILE_F32 = 0;
export const FILE_F16 = 1;
export const FILE_BF16 = 2;
/** GGUF Q8_0: f16 scale, 32 int8. */
export const FILE_Q8_0 = 3;
export const FILE_Q8_0_BYTES = 34;
/** GGUF Q4_0: f16 scale, 16 bytes; low nibbles are columns 0..15, high nibbles 16..31. */
export const FILE_Q4_0 = 4;
export const FILE_Q4_0_BYTES = 18;
/** llama2.c v2: int8, with one f32 scale for each group of values, stored apart. */
export const FILE_Q8_G = 5;

// ---- Activations. A row is padded with zeros to BLOCK_COLS.

/** Activation formats: f32; 32 int8 + scale + sum as ACT_BLOCK_BYTES say. */
export const ACT_F32 = 0;
/** For q8 weights. */
export const ACT_Q8W = 1;
/** For q4 weights. */
export const ACT_Q4W = 2;
/** int8 activation block: 32 int8, f32 scale at 32, two i16 at 36 (see quantize.ts). */
export const ACT_BLOCK_BYTES = 40;
export const ACT_SCALE = 32;
export const ACT_SUMS = 36;

// ---- KV pages. A page holds KV_PAGE positions of every layer; inside it, layer-major, then kv head, then
// the K block and the V block of that head. headDim is padded to a multiple of KV_DIM_ALIGN with zeros.

/** Positions of a page, and keys of one attention block. */
export const KV_PAGE = 32;
export const KV_DIM_ALIGN = 8;
// K is groups of 8 positions and V groups of 8 dims, so that both meet a kernel as [group][n][8]: it adds up
// over n (the dims of K, the positions of V), reads from front to end and keeps eight sums of each query.
/** K: [4 groups][dims][8 positions], V: [dims / 8 groups][32 positions][8 dims], f32; KV_F16 alike. */
export const KV_F32 = 0;
export const KV_F16 = 1;
/**
 * Pairs of int8, as i32x4.dot_i16x8_s adds them. K: [4 groups][dims / 2][8 positions][2 dims],
 * V: [dims / 8 groups][16 pairs][8 dims][2 positions]; then f32 [32] scales of K, f32 [32] of V.
 */
export const KV_Q8 = 2;
