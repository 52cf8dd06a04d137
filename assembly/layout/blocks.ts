// Bytes and elements of every block that both sides address. Imports nothing; untyped on purpose.

// ---- Weights. A matrix [rows, cols] is strips of TILE_ROWS rows; the 32 columns of a block in a strip are a tile.
// Rows are zero-padded to an even number of strips, columns to BLOCK_COLS. The four rows of a strip share each vector
// ("rows in lanes"): one broadcast activation meets four rows at once, and no horizontal sum remains.
// Strips lie in groups of GROUP_STRIPS; the last group may be smaller. In a group of n strips, tile b * n + s is that of
// strip s and of block b. So one token reads a group from front to end and still feeds eight independent sums.

/** Rows of one weight tile, one in each 32-bit lane. */
export const TILE_ROWS = 4;
/** Columns that share one quantization scale, in weights and in activations. */
export const BLOCK_COLS = 32;
/** Strips of a group of q8 and q4 tiles. */
export const GROUP_STRIPS = 8;
/** Strips of a group of f32. They lie side by side every four columns: [columns / 4][strips][4 columns][4 rows]. */
export const F32_GROUP_STRIPS = 4;
/** Rows are padded to a multiple of this: an even number of strips. */
export const PADDED_ROWS = 8;
/**
 * Scales in tiles are f16 times 2^SCALE_SHIFT, unless that is too large for one scale of the matrix. This leaves no
 * subnormals, which processors multiply slowly. Kernels take the power off again (MATMUL_FACTOR).
 */
export const SCALE_SHIFT = 10;
/** q8 tile: f16 [4] scales; 8 vectors of (4 rows x 4 columns) of one byte, int8 + 128. */
export const Q8_TILE_BYTES = 136;
export const Q8_TILE_VALUES = 8;
/**
 * q4 tile: f16 [4] scales; 4 vectors of (4 rows x 4 bytes): the low nibbles of vector v are columns
 * 4v..4v+3, the high nibbles columns 16+4v..16+4v+3. A nibble n stands for n - 8.
 */
export const Q4_TILE_BYTES = 72;
export const Q4_TILE_VALUES = 8;
/**
 * nl and mxfp4 tiles are as those of q4, but a nibble stands for a value of a book of 16 (formats/offsets.ts).
 * q4m tile: f16 [4] scales, f16 [4] minima (times 2^SCALE_SHIFT as well), then nibbles in the order of q4. A weight is
 * scale * n + minimum. q5 tile: alike, with 5 bits in the order of q5k.
 */
export const Q4M_TILE_BYTES = 80;
export const Q5_TILE_BYTES = 96;
export const TILE_MINIMA = 8;
/** What both are unpacked to for several tokens, if the engine multiplies bytes: scales, minima, bytes in the order of q8. */
export const MINIMUM_TILE_BYTES = 144;
/**
 * What q8 and q4 are unpacked to for several tokens, if the engine multiplies 16 bits: f16 [4] scales; 8 bytes unused, or f16 [4]
 * minima;
 * 16 vectors of (4 rows x 2 columns) i16.
 */
export const WIDE_TILE_BYTES = 272;
export const WIDE_TILE_VALUES = 16;
/** Blocks that are unpacked at once, and the bytes of scratch that one of a strip takes, with those that kernels work in. */
export const UNPACKED_BLOCKS = 64;
export const UNPACKED_BYTES = 288;
/** Bytes of 32 columns of a strip. */
export const F32_TILE_BYTES = 512;

// Formats of superblocks: SUPER_COLS columns share scales of two levels, as in the K and IQ types of files. A superblock of
// a group of n strips is n headers, then tile b * n + s of strip s and of block b. Scales of blocks, or of their halves, are
// integers; f16 d and dmin (times 2^SCALE_SHIFT) are of the superblock. Sums over it are integers, and one f32 in the end.
/** Columns of a superblock. */
export const SUPER_COLS = 256;
/** Blocks of a superblock. */
export const SUPER_BLOCKS = 8;
/**
 * q4k header: f16 d [4 rows], f16 dmin [4]; u8 scales [8 blocks][4 rows] at 16; u8 minima [4 pairs of blocks][4 rows][2] at
 * 48. Tile: 4 vectors of nibbles, in the order of q4. A weight is d * scale * n - dmin * minimum.
 */
export const Q4K_HEAD_BYTES = 80;
export const Q4K_TILE_BYTES = 64;
/**
 * q5k header: as q4k. Tile: 5 vectors v whose low 5 bits are columns 4v..4v+3; their upper 3 bits make three more:
 * columns 20.. bits 5-7 of vector 0 and 5-6 of vector 1, 24.. of vectors 2 and 3, 28.. of vector 4, bit 7 of 1, bit 7 of 3.
 */
export const Q5K_TILE_BYTES = 80;
/**
 * q6k header: f16 d [4 rows]; int8 scales [8 blocks][4 rows][2 halves] at 8. Tile: 6 vectors v whose low 6 bits are columns
 * 4v..4v+3; the upper 2 bits of vectors 0 to 2 make columns 24.., of vectors 3 to 5 columns 28... A weight is
 * d * scale * (n - 32).
 */
export const Q6K_HEAD_BYTES = 72;
export const Q6K_TILE_BYTES = 96;
/**
 * x4k header: f16 d [4 rows]; int8 scales [8 blocks][4 rows] at 8. Tile: nibbles as q4k, indexes of a book of 16 int8. A
 * weight is d * scale * book[n].
 */
export const X4K_HEAD_BYTES = 40;
/**
 * x3k header: as q6k. Tile: 3 vectors; bits 0-2 are columns 4v.., bits 3-5 columns 12 + 4v..; columns 24.. are bits 6-7 of
 * vector 0 and bit 6 of vector 2, columns 28.. bits 6-7 of vector 1 and bit 7 of vector 2. Indexes of a book of 8 int8.
 */
export const X3K_TILE_BYTES = 48;
/**
 * q2k header: f16 d [4 rows], f16 dmin [4]; u8 scales [8 blocks][4 rows][2 halves] at 16, u8 minima alike at 80. Tile: 2
 * vectors; bits 2i, 2i + 1 of vector v are columns 16v + 4i... A weight is d * scale * n - dmin * minimum.
 */
export const Q2K_HEAD_BYTES = 144;
export const Q2K_TILE_BYTES = 32;
export const Q2K_MINIMA = 80;
/** Where scales and minima lie in headers. */
export const SUPER_SCALES = 16;
export const SUPER_MINIMA = 48;
export const Q6K_SCALES = 8;
/**
 * What a superblock of a strip is unpacked to for several tokens: d as f32 [4 rows], dmin alike at 16, both times 2^-112 as
 * load_scales() has them; at 32 what is taken off sums, i16 [4 pairs of blocks or 8 blocks][4 rows][2]: minima, or scales in
 * their place; vectors of (4 rows x 2 columns) i16 at 160, weights times the scales of their blocks.
 */
export const WIDE_SUPER_BYTES = 2208;
export const SUPER_SECOND = 16;
export const SUPER_LESS = 32;
export const WIDE_SUPER_VALUES = 160;

/**
 * The same as bytes, if the engine multiplies those. It begins alike; for each block a vector of its scales at 160, in the
 * form that the kernel wants; bytes in the order of q8 at 288.
 */
export const BYTE_SUPER_BYTES = 1312;
export const BYTE_SUPER_SCALES = 160;
export const BYTE_SUPER_VALUES = 288;

/** Weight formats, as records name them. */
export const WEIGHT_F32 = 0;
export const WEIGHT_Q8 = 1;
export const WEIGHT_Q4 = 2;
export const WEIGHT_Q4K = 3;
export const WEIGHT_Q5K = 4;
export const WEIGHT_Q6K = 5;
/** Formats with a book: BOOK_* times WEIGHT_BOOK is added. */
export const WEIGHT_X4K = 6;
export const WEIGHT_X3K = 7;
export const WEIGHT_Q2K = 8;
export const WEIGHT_BOOK = 256;

/** Books: the values of IQ4_XS; odd numbers up to 15; of IQ3_XXS, IQ2 types and IQ1 types; -4 to 3. */
export const BOOK_IQ4 = 0;
export const BOOK_IQ3_S = 1;
export const BOOK_IQ3_XXS = 2;
export const BOOK_IQ2 = 3;
export const BOOK_IQ1 = 4;
export const BOOK_Q3 = 5;
/** Blocks of 32 columns as files have them. IQ4_NL and MXFP4: nibbles with a book each. */
export const WEIGHT_NL = 16;
export const WEIGHT_MXFP4 = 17;
/** Q4_1; Q5_0 and Q5_1. */
export const WEIGHT_Q4M = 18;
export const WEIGHT_Q5 = 19;

// ---- Activations. A row is padded with zeros to BLOCK_COLS.

/**
 * Activation formats: f32; blocks of 32 int8, a scale and sums (ACT_BLOCK_BYTES); superblocks of 256 int8, a scale and sums
 * (ACT_SUPER_BYTES). A weight format names the one it takes.
 */
export const ACT_F32 = 0;
export const ACT_Q8 = 1;
export const ACT_SUPER = 2;
/** int8 activation block of one token: 32 int8, f32 scale at 32, two i16 at 36 (see formats/act_q8.ts). */
export const ACT_BLOCK_BYTES = 40;
export const ACT_SCALE = 32;
export const ACT_SUMS = 36;
/**
 * In a step of several tokens, ACT_TOKENS of them share blocks, in the room of their rows:
 * [8 steps][4 tokens][4 columns] int8, f32 [4 tokens] scales at 128, two i16 [4 tokens] at 144.
 */
export const ACT_TOKENS = 4;
export const ACTS_BLOCK_BYTES = 160;
export const ACTS_SCALES = 128;
export const ACTS_SUMS = 144;

/**
 * int8 activation superblock of one token: 256 int8; f32 scale at 256; i16 [8] sums of blocks at 272; i16 [16] sums of half
 * blocks at 288.
 */
export const ACT_SUPER_BYTES = 320;
export const ACT_SUPER_SCALE = 256;
export const ACT_SUPER_SUMS = 272;
export const ACT_SUPER_HALVES = 288;
/**
 * The same of ACT_TOKENS tokens: [64 steps][4 tokens][4 columns] int8, f32 [4 tokens] scales at 1024,
 * i16 [4 pairs of blocks][4 tokens][2] sums at 1040, i16 [8 blocks][4 tokens][2] sums of half blocks at 1104; i32 [4] at 1232
 * what the positive activations of a block add up to at most, or the negative ones without their sign.
 */
export const ACTS_SUPER_BYTES = 1280;
export const ACTS_SUPER_SCALES = 1024;
export const ACTS_SUPER_SUMS = 1040;
export const ACTS_SUPER_HALVES = 1104;
export const ACTS_SUPER_MOST = 1232;

// ---- Forms of the dot product of bytes, as the engine's relaxed instruction allows (simd/dot.ts).
/** Weights and activations widened to 16 bits: any engine. */
export const DOT_WIDE = 0;
/** The weight's sign is moved to the activation: any engine with relaxed SIMD. */
export const DOT_MOVED = 1;
/** One operand is unsigned, nothing saturates (x86 with VNNI). */
export const DOT_UNSIGNED = 2;
/** Both operands are signed (ARM). */
export const DOT_SIGNED = 3;

// ---- KV pages. A page holds KV_PAGE positions of every layer of a class (src/model/kv_layout.ts); inside it, layer-major,
// then kv head, then the K block and the V block of that head. headDim is padded to a multiple of KV_DIM_ALIGN with zeros.

/** Positions of a page, and keys of one attention block. */
export const KV_PAGE = 32;
export const KV_DIM_ALIGN = 8;
// K is groups of 8 positions and V groups of 8 dims. So both are [group][n][8] to a kernel: it adds up over n (the dims of
// K, the positions of V), reads from front to end and has eight sums of each query in registers.
/** K: [4 groups][dims][8 positions], V: [dims / 8 groups][32 positions][8 dims], f32; KV_F16 alike. */
export const KV_F32 = 0;
export const KV_F16 = 1;
/**
 * Pairs of int8, as i32x4.dot_i16x8_s adds them. K: [4 groups][dims / 2][8 positions][2 dims],
 * V: [dims / 8 groups][16 pairs][8 dims][2 positions]; then f32 [32] scales of K, f32 [32] of V.
 */
export const KV_Q8 = 2;
