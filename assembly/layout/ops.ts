// A plan is an array of records of RECORD_WORDS i32 words: operation code, flags, then the operands of that
// operation at the word indexes below. Addresses are bytes. Imports nothing; untyped on purpose.

export const RECORD_WORDS = 24;
export const RECORD_BYTES = 96;

/** Word 0 of every record. */
export const REC_OP = 0;
/** Word 1: the flags below, or-ed. Records without a barrier between them must be independent. */
export const REC_FLAGS = 1;
/** Every thread waits for the others after this record. */
export const REC_BARRIER = 1;
/** The record is left out in steps of one token; or in those of several. */
export const REC_SEVERAL = 2;
export const REC_ALONE = 4;

/** out[t] = row ids[t] of the embedding table. */
export const OP_EMBED = 1;
/** out[t] = norm(x[t]), then converted to an activation format. */
export const OP_NORM = 2;
/** out[t] = x[t] in an activation format. */
export const OP_QUANTIZE = 3;
/** out[t] = W x[t] (+ add[t]). */
export const OP_MATMUL = 4;
/** Cosines and sines of the step's positions. */
export const OP_ANGLES = 5;
/** Rotates q in place, rotates k and stores k and v into the cache. */
export const OP_ROPE_STORE = 6;
/** out[t] = attention of q[t] over the cache. */
export const OP_ATTENTION = 7;
/** out[t] = act(gate[t]) * up[t], or act(gate[t]), then converted to an activation format. */
export const OP_GLU = 8;
/** Packs file rows into weight tiles, at load. */
export const OP_PACK = 9;
/** Chooses the experts of every token by a router, and gives each choice a slot: a row of what the chosen experts work on. */
export const OP_ROUTE = 10;
/** out[slot] = W x[slot] (+ bias), with the weights of the slot's expert. */
export const OP_EXPERTS = 11;
/** out[t] = the sum of share * W x[slot] over the token's slots, with the weights of the slot's expert (+ add[t]). */
export const OP_COMBINE = 12;
/** x[t] += scale * row[t]. */
export const OP_ADD = 13;
/** Normalizes rows of f32, or each head of a row, in place or onto another row. */
export const OP_NORM_ROWS = 14;
/** x[t][i] = f(x[t][i]). */
export const OP_MAP = 15;
/** Copies values of each head of f32 rows. */
export const OP_COPY = 16;
/** Convolves each channel of f32 rows over the last positions, and keeps inputs in the cache. */
export const OP_CONV = 17;
/** The delta rule: reads a state of the cache by queries, and has it learn values of keys. */
export const OP_DELTA = 18;

// Which rows a record works on (word 2).
export const REC_ROWS = 2;
/** Every token of the step. */
export const ROWS_TOKENS = 0;
/** Rows 0..outputs-1; OP_NORM gathers them from the tokens in STEP_OUTPUTS, the rest find them gathered. */
export const ROWS_OUTPUTS = 1;

/** Chunk counter, the last word; threads take their shares of the record from it. */
export const REC_COUNTER = 23;

// OP_EMBED
export const EMBED_TABLE = 3;
export const EMBED_WEIGHT = 4;
export const EMBED_COLS = 5;
export const EMBED_OUT = 6;
/** Bytes between rows of out. */
export const EMBED_OUT_STRIDE = 7;
/** Bits of the f32 factor every row is multiplied by. */
export const EMBED_SCALE = 8;
/** Strips of the table, and bits of f32: what scales in its tiles are multiplied by. */
export const EMBED_STRIPS = 9;
export const EMBED_FACTOR = 10;

// OP_NORM
export const NORM_X = 3;
export const NORM_X_STRIDE = 4;
export const NORM_OUT = 5;
export const NORM_OUT_STRIDE = 6;
export const NORM_N = 7;
/** ACT_* of out. */
export const NORM_FORMAT = 8;
export const NORM_WEIGHT = 9;
/** 0: no bias. */
export const NORM_BIAS = 10;
/** Bits of f32. */
export const NORM_EPS = 11;
export const NORM_KIND = 12;
export const NORM_RMS = 0;
export const NORM_LAYER = 1;

// OP_QUANTIZE
export const QUANTIZE_X = 3;
export const QUANTIZE_X_STRIDE = 4;
export const QUANTIZE_OUT = 5;
export const QUANTIZE_OUT_STRIDE = 6;
export const QUANTIZE_N = 7;
/** ACT_* of out. */
export const QUANTIZE_FORMAT = 8;
/** The routing table: rows of out are slots, each of which takes its token's row of x. 0: rows are tokens. */
export const QUANTIZE_ROUTE = 9;

// OP_MATMUL
export const MATMUL_W = 3;
export const MATMUL_WEIGHT = 4;
export const MATMUL_X = 5;
export const MATMUL_X_STRIDE = 6;
export const MATMUL_OUT = 7;
export const MATMUL_OUT_STRIDE = 8;
/** Strips of TILE_ROWS rows, an even number. */
export const MATMUL_STRIPS = 9;
/** Blocks of BLOCK_COLS columns. */
export const MATMUL_BLOCKS = 10;
/** f32 rows added to the product; 0: none. Stride 0: the same row (a bias) for every token. */
export const MATMUL_ADD = 11;
export const MATMUL_ADD_STRIDE = 12;
/** Groups of strips that a thread takes at once at most, for several tokens; for one there is no limit. */
export const MATMUL_CHUNK = 13;
/** Bits of f32: what scales in tiles are multiplied by, besides that they are read as f16 shifted by 13 bits. */
export const MATMUL_FACTOR = 14;
/** Non-zero: a weight is -128, which DOT_MOVED cannot compute with. */
export const MATMUL_LOWEST = 15;

// OP_ANGLES
/** f32 [half + 1] frequencies, and what cosines and sines are multiplied by. */
export const ANGLES_FREQS = 3;
/** f32 [tokens][half][2]: cosine, sine. */
export const ANGLES_OUT = 4;
export const ANGLES_HALF = 5;

// OP_ROPE_STORE
export const ROPE_Q = 3;
export const ROPE_Q_STRIDE = 4;
export const ROPE_K = 5;
export const ROPE_K_STRIDE = 6;
export const ROPE_V = 7;
export const ROPE_V_STRIDE = 8;
export const ROPE_ANGLES = 9;
export const ROPE_DIM = 10;
export const ROPE_HEAD_DIM = 11;
export const ROPE_N_HEADS = 12;
export const ROPE_N_KV_HEADS = 13;
export const ROPE_PAIRING = 14;
export const PAIRING_ADJACENT = 0;
export const PAIRING_HALVES = 1;
export const ROPE_KV_TYPE = 15;
/** Offset of this layer's first kv head in a page. */
export const ROPE_LAYER = 16;
/** Bytes of one kv head in a page. */
export const ROPE_HEAD_BYTES = 17;
/** Non-zero: nothing is stored; k is rotated in place as q is. */
export const ROPE_ONLY = 18;
/** Offset of this layer's page table from that of the step. */
export const ROPE_TABLE = 19;

// OP_ATTENTION
export const ATT_Q = 3;
export const ATT_Q_STRIDE = 4;
export const ATT_OUT = 5;
export const ATT_OUT_STRIDE = 6;
/** i32 [nKvHeads + 1]: where each kv head's q heads begin in ATT_HEADS. */
export const ATT_GROUPS = 7;
/** i32 [nHeads]: q heads in order of their kv head. */
export const ATT_HEADS = 8;
export const ATT_N_KV_HEADS = 9;
export const ATT_HEAD_DIM = 10;
export const ATT_KV_TYPE = 11;
export const ATT_LAYER = 12;
export const ATT_HEAD_BYTES = 13;
/** Bits of f32: what scores are multiplied by. */
export const ATT_SCALE = 14;
/** Positions that a query sees, its own and those right before it; 0: all. */
export const ATT_WINDOW = 15;
/** f32 [nHeads]: a score of each head that takes part in the softmax and has no value; 0: none. */
export const ATT_SINKS = 16;
/** Bits of f32: scores s become cap tanh(s / cap); 0: they stay. */
export const ATT_CAP = 17;
/** As ROPE_TABLE. */
export const ATT_TABLE = 18;

// OP_GLU
export const GLU_GATE = 3;
export const GLU_UP = 4;
/** Bytes between rows of gate and of up. */
export const GLU_STRIDE = 5;
export const GLU_OUT = 6;
export const GLU_OUT_STRIDE = 7;
export const GLU_N = 8;
export const GLU_FORMAT = 9;
export const GLU_KIND = 10;
export const GLU_SWIGLU = 0;
export const GLU_GEGLU = 1;
export const GLU_REGLU = 2;
/** Plain activations: up is not read. */
export const GLU_SILU = 3;
export const GLU_GELU = 4;
export const GLU_RELU = 5;
export const GLU_SIGMOID = 6;
/** Gated: up is read. See clamped_glu_f32(). */
export const GLU_CLAMPED = 7;
/** Plain: the square of GLU_RELU. */
export const GLU_SQUARED_RELU = 8;
/** Gated: sigmoid(gate) * up. */
export const GLU_GATE_ONLY = 9;
/** As GLU_GEGLU and GLU_GELU, with GELU in its exact form. */
export const GLU_GEGLU_ERF = 10;
export const GLU_GELU_ERF = 11;
/** The routing table: rows are slots. 0: rows are tokens. */
export const GLU_ROUTE = 11;
/** Bits of f32, of GLU_CLAMPED. */
export const GLU_LIMIT = 12;
export const GLU_ALPHA = 13;

// OP_PACK: the arguments of pack(); a chunk is PACK_CHUNK strips.
export const PACK_FILE = 3;
export const PACK_WEIGHT = 4;
export const PACK_SRC = 5;
export const PACK_ROW_BYTES = 6;
/** Scales of a type whose scales lie apart, or the grid of a type that has one. */
export const PACK_TABLE = 7;
export const PACK_GROUP = 8;
export const PACK_PHASE = 9;
export const PACK_ROWS = 10;
export const PACK_COLS = 11;
/** The whole matrix, the strip of it that the first row begins, and its strips. */
export const PACK_OUT = 12;
export const PACK_FIRST_STRIP = 13;
export const PACK_STRIPS = 14;
export const PACK_CHUNK = 15;
/** What scales are multiplied by, as a power of two. */
export const PACK_SHIFT = 16;

// The routing table, of i32 words. Each expert that a token chose has slots one behind another, in the order of its tokens;
// if there are several, their number is a multiple of ACT_TOKENS, and the last of them may have no token.
// 5 words: experts that were chosen, slots, the addresses of slots and picks, and tokens that have chosen (0 between records).
// Then for each expert 4 words.
export const ROUTED_EXPERTS = 0;
export const ROUTED_SLOTS = 4;
/** Address of i32 [slots][2]: the slot's token, -1 if it has none; its expert. */
export const ROUTED_SLOT_LIST = 8;
/** Address of [tokens][ROUTE_PICKED] picks: i32 slot, f32 share. The best expert is first, a shared expert last. */
export const ROUTED_PICKS = 12;
export const ROUTED_DONE = 16;
/** Where the words of expert 0 begin, and bytes of an expert. */
export const ROUTED_LIST = 32;
export const ROUTED_BYTES = 16;
/** In the words of number i: the i-th of the experts that were chosen, in ascending order. */
export const ROUTED_CHOSEN = 0;
/** In the words of expert i: its first slot, its tokens, and those that have their slot. */
export const ROUTED_FIRST = 4;
export const ROUTED_COUNT = 8;
export const ROUTED_PLACED = 12;

// OP_ROUTE
/**
 * Bytes from this record to an OP_MATMUL record behind the plan, which is not run by itself: the router, whose products are
 * computed here.
 */
export const ROUTE_ROUTER = 3;
/** Experts, and how many of them a token chooses. */
export const ROUTE_N = 4;
export const ROUTE_USED = 5;
export const ROUTE_GATE = 6;
/** Shares are softmax of all products; sigmoid of each; softmax of those that are chosen. */
export const GATE_SOFTMAX = 0;
export const GATE_SIGMOID = 1;
export const GATE_SOFTMAX_OF_CHOSEN = 2;
/** Non-zero: the shares of a token are divided by their sum. */
export const ROUTE_NORMALIZE = 7;
/** Bits of f32: what shares are multiplied by in the end. */
export const ROUTE_SCALE = 8;
/** f32 [n] that is added to what experts are chosen by, and to no share; 0: none. */
export const ROUTE_BIAS = 9;
/** Groups of experts, and how many of them a token chooses from; 1: all experts are one group. */
export const ROUTE_GROUPS = 10;
export const ROUTE_GROUPS_USED = 11;
/** The routing table, its slots and its picks. */
export const ROUTE_TABLE = 12;
export const ROUTE_SLOTS = 13;
export const ROUTE_PICKS = 14;
/** Picks of a token: the experts that it chose, and the shared one if there is one. */
export const ROUTE_PICKED = 15;
/** The slot of token 0 for the shared expert, which is behind those of all others. */
export const ROUTE_SHARED = 16;
/** f32 row, padded with zeros to whole blocks; sigmoid of its product is the share of the shared expert. 0: the share is 1. */
export const ROUTE_SHARED_GATE = 17;
/** Bits of f32: what that share is multiplied by. */
export const ROUTE_SHARED_SCALE = 18;

// OP_EXPERTS
export const EXPERTS_ROUTE = 3;
/**
 * Bytes from this record to the one of expert 0; those of the others follow. They are OP_MATMUL records behind the plan, and
 * say what a slot of the expert needs: its weights, x and out of slot 0, the bias as MATMUL_ADD. They are not run.
 */
export const EXPERTS_RECORDS = 4;
/** x of the token in steps of one token, which all of its slots have in common; 0: that of slots. */
export const EXPERTS_ALONE = 5;

// OP_COMBINE
export const COMBINE_ROUTE = 3;
/** As EXPERTS_RECORDS. The rows of slots are worked in. */
export const COMBINE_RECORDS = 4;
/** Bytes from this record to the one of the shared expert, whose rows are those of tokens; 0: there is none. */
export const COMBINE_SHARED = 5;
/** f32 rows of tokens that are added to; 0: none. */
export const COMBINE_ADD = 6;
export const COMBINE_ADD_STRIDE = 7;
export const COMBINE_OUT = 8;
export const COMBINE_OUT_STRIDE = 9;
export const COMBINE_N = 10;
/** Picks of a token. */
export const COMBINE_PICKED = 11;

// OP_ADD
export const ADD_X = 3;
export const ADD_X_STRIDE = 4;
/** f32 rows of ADD_N values. */
export const ADD_ROW = 5;
export const ADD_N = 6;
/** Bytes between rows; 0: the same row for every token. */
export const ADD_ROW_STRIDE = 7;
/** Bits of f32. */
export const ADD_SCALE = 8;
/** Non-zero: a token's row is that of its position. */
export const ADD_BY_POSITION = 9;

// OP_NORM_ROWS
export const NORM_ROWS_X = 3;
export const NORM_ROWS_X_STRIDE = 4;
/** Values that are normalized together, and how many such heads a row has, one behind the other. */
export const NORM_ROWS_N = 5;
export const NORM_ROWS_HEADS = 6;
export const NORM_ROWS_WEIGHT = 7;
/** Bytes between the weights of heads; 0: all heads have the same. */
export const NORM_ROWS_WEIGHT_STRIDE = 8;
/** Of LayerNorm; 0: none. As far apart as the weights. */
export const NORM_ROWS_BIAS = 9;
/** Bits of f32. */
export const NORM_ROWS_EPS = 10;
/** NORM_RMS or NORM_LAYER. */
export const NORM_ROWS_KIND = 11;
/** f32 rows that the result is added to, times NORM_ROWS_SCALE (bits of f32); 0: none, it stays in place only. */
export const NORM_ROWS_SUM = 12;
export const NORM_ROWS_SUM_STRIDE = 13;
export const NORM_ROWS_SCALE = 14;

// OP_MAP
export const MAP_X = 3;
export const MAP_X_STRIDE = 4;
export const MAP_N = 5;
export const MAP_KIND = 6;
/** x * A */
export const MAP_SCALE = 0;
/** x held to [-A, A] */
export const MAP_CLAMP = 1;
/** B tanh(x * A / B) */
export const MAP_CAP = 2;
/** x (1 + A ln(floor(position / B) + 1)) */
export const MAP_TEMPERATURE = 3;
/** Bits of f32. */
export const MAP_A = 7;
export const MAP_B = 8;

// OP_COPY
export const COPY_X = 3;
export const COPY_X_STRIDE = 4;
/** Bytes between heads of a row. */
export const COPY_X_HEAD = 5;
export const COPY_OUT = 6;
export const COPY_OUT_STRIDE = 7;
export const COPY_OUT_HEAD = 8;
/** Values of a head that are copied, and zeros behind them. */
export const COPY_N = 9;
export const COPY_ZEROS = 10;
export const COPY_HEADS = 11;

// OP_CONV
export const CONV_X = 3;
export const CONV_X_STRIDE = 4;
/** Bytes from x to what it is multiplied by first, in place; 0: nothing. */
export const CONV_TIMES = 5;
/** Bytes from x to what results are multiplied by; 0: they go through SiLU. */
export const CONV_GATE = 6;
export const CONV_OUT = 7;
export const CONV_OUT_STRIDE = 8;
/** f32 [channels][taps]; the last tap is that of the position itself. */
export const CONV_KERNEL = 9;
/** A multiple of 4. */
export const CONV_CHANNELS = 10;
export const CONV_TAPS = 11;
/**
 * Rows of inputs in a page, f32 [rows][channels]. KV_PAGE: those of its positions. taps - 1: those before the position behind the
 * last one that was computed on the page.
 */
export const CONV_KEPT = 12;
/** Offset in a page; offset of the class's page table. */
export const CONV_LAYER = 13;
export const CONV_TABLE = 14;

// OP_DELTA
/** Rows of queries [groups][dim], keys [groups][dim], values [heads][dim]; queries and keys have a mean square of 1. */
export const DELTA_X = 3;
export const DELTA_X_STRIDE = 4;
/** f32 [heads][dim]. */
export const DELTA_OUT = 5;
export const DELTA_OUT_STRIDE = 6;
/** Rows of f32 [heads]: decays before softplus, and learning rates before sigmoid. */
export const DELTA_ALPHA = 7;
export const DELTA_BETA = 8;
/** Of both. */
export const DELTA_ALPHA_STRIDE = 9;
/** f32 [heads]: what the softplus is multiplied by. */
export const DELTA_RATES = 10;
export const DELTA_HEADS = 11;
/** Value head h goes with key head h % groups. */
export const DELTA_GROUPS = 12;
/** Values of a head, a multiple of 4. */
export const DELTA_DIM = 13;
/** Offset in a page of f32 [heads][dim of values][dim of keys]; offset of the class's page table. */
export const DELTA_LAYER = 14;
export const DELTA_TABLE = 15;
/** Bits of f32: 1 / sqrt(dim). */
export const DELTA_SCALE = 16;
