// Offsets of the control words at the bottom of linear memory. Imports nothing; untyped on purpose.
// Words that different threads write live on cache lines of their own.

/** Non-zero: stop at the next record. Written by the host (Atomics.store), read by every thread. */
export const CONTROL_CANCEL = 64;
/** Why a step stopped: one of STATUS_*. */
export const CONTROL_STATUS = 128;
// How threads meet: see sync.ts. On one cache line, so that who sees a segment begin has its description too.
/** Segments begun so far: what waiting threads watch. */
export const CONTROL_SEGMENT = 256;
/** Threads inside the segment besides the host's, and SEGMENT_OPEN while others may enter. */
export const CONTROL_INSIDE = 260;
/** Address of the segment's first record and of what is behind its last. */
export const CONTROL_FIRST = 264;
export const CONTROL_LAST = 268;
/** Threads that sleep until a segment begins. */
export const CONTROL_SLEEPERS = 272;
/** Non-zero: the host's thread sleeps until the others have left the segment. */
export const CONTROL_HOST_SLEEPS = 276;
/** Threads that take part, the host's included. Threads that do not take part watch it. Written between segments. */
export const CONTROL_N_THREADS = 280;
/** Threads that have entered work(). */
export const CONTROL_READY = 512;
/** Non-zero: parked threads return. */
export const CONTROL_SHUTDOWN = 516;
/** What CONTROL_N_THREADS becomes then: another value than any before, so that every thread wakes up. */
export const SHUTDOWN_THREADS = 65536;
/** 1 + the lowest row that OP_PACK could not pack; 0: none. */
export const CONTROL_BAD_ROW = 576;
/** PACKED_* of what OP_PACK found, or-ed. */
export const CONTROL_PACKED = 580;
/** A weight of -128. */
export const PACKED_LOWEST = 1;
/** A scale that is too large to be stored times 2^SCALE_SHIFT. */
export const PACKED_LARGE_SCALE = 2;
/** DOT_* that kernels use. */
export const CONTROL_DOT = 640;
/** Groups that a kernel of one token reads at once. */
export const CONTROL_STREAMS = 644;
/** SPLAT_*: how kernels that multiply superblocks as pairs have an activation in every row. */
export const CONTROL_SPLATS = 648;
/** A load for each. */
export const SPLAT_LOADS = 0;
/** A shuffle for each of four that were loaded together. */
export const SPLAT_SHUFFLES = 1;

// ---- The step: what the host writes before each run. i32 words.
/** Tokens in this step. */
export const STEP_N_TOKENS = 384;
/** Rows whose logits are computed. */
export const STEP_N_OUTPUTS = 388;
/** Query tiles, see QUERY_*. */
export const STEP_N_TILES = 392;
/** Address of i32 token ids [tokens]. */
export const STEP_IDS = 396;
/** Address of i32 positions [tokens]. */
export const STEP_POSITIONS = 400;
/**
 * Address of u32 page-table addresses [tokens]: of the first class of layers. A page table is u32 page addresses, one for
 * each KV_PAGE positions of the context; those that a layer of the class does not read may be anything.
 */
export const STEP_PAGE_TABLES = 404;
/** Address of i32 token indexes [outputs]. */
export const STEP_OUTPUTS = 408;
/** Address of query tiles [tiles]. */
export const STEP_TILES = 412;

/** A query tile: up to QUERY_TILE consecutive tokens of one sequence at consecutive positions. i32 words. */
export const QUERY_FIRST_TOKEN = 0;
export const QUERY_N_TOKENS = 4;
export const QUERY_FIRST_POSITION = 8;
/** Address of the sequence's page table of the first class. */
export const QUERY_PAGE_TABLE = 12;
export const QUERY_TILE_BYTES = 16;
/** Most tokens of a query tile. */
export const QUERY_TILE = 8;

// ---- Constants kept in memory, because V8 re-materialises a v128 constant at every use in a loop.
// Written by init().
/** i8x16 of 15: low nibbles. */
export const CONST_LOW_NIBBLES = 1024;
/** i16x8 of 1. */
export const CONST_ONES_16 = 1040;
/** i16x8 of 16: makes -128 * sum of the -8 * sum in an activation block. */
export const CONST_SIXTEEN_16 = 1232;
/** i16x8 of 2^13: shifts f16 to where f32 has its mantissa. */
export const CONST_SHIFT_13 = 1248;
/** i8x16 of -128: turns bytes of a q8 tile into int8. */
export const CONST_FLIP = 1264;
/** i8x16 of 8: what nibbles are above their weights. */
export const CONST_EIGHT = 1280;
/** f32x4 of 2^112: widens f16 shifted left by 13. */
export const CONST_TWO_112 = 1072;
/** 32 bytes that dot_form() works in. */
export const CONST_PROBE = 1312;
/** The lower byte of every i16. */
export const CONST_EVEN = 1296;
/** Four i8x16 that q5k takes its fields out with (31, 7, 24, 8), and four of q6k (63, 3, 12, 48). */
export const CONST_FIELDS = 1344;
/** Books of nibbles: i8x16 of the values of IQ4_NL + 128, of twice those of MXFP4 + 16, and of 0 to 15. */
export const CONST_OFFSET_BOOKS = 1984;
/** Books of 16 int8, by BOOK_*. */
export const CONST_BOOKS = 1600;
/** i32x4 of 0x8fffffff: keeps sign, exponent and mantissa of a shifted f16. */
export const CONST_F16_MASK = 1088;
/** f32x4 of -127: 2^x of anything smaller is zero. */
export const CONST_EXP2_LOWEST = 1104;
/** f32x4 of 1.5 * 2^23: added and taken off again, it rounds to an integer. */
export const CONST_EXP2_ROUND = 1120;
/** f32x4 of 1. */
export const CONST_ONE = 1136;
/** Five f32x4: the coefficients of r to r^5 in 2^r, |r| <= 1/2 (the constant one is 1). */
export const CONST_EXP2_COEFFICIENTS = 1152;

/** A word for each thread besides the host's, up to 256 of them: 1 when it has started. Written by its own TypeScript. */
export const CONTROL_STARTED = 2048;

/** The bit of CONTROL_INSIDE that lets threads enter. */
export const SEGMENT_OPEN = 65536;

/** Bytes that pack() works in. */
export const PACK_SCRATCH_BYTES = 512;

/** Bytes reserved for all of the above; the arena starts here. */
export const CONTROL_BYTES = 4096;

export const STATUS_OK = 0;
export const STATUS_CANCELLED = 1;
/** A thread did not leave a segment within the limit: it died. */
export const STATUS_TIMEOUT = 2;
/** A record has an unknown operation code. */
export const STATUS_BAD_RECORD = 3;
/** Another thread trapped. Written by the host. */
export const STATUS_TRAP = 4;
