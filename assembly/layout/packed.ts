// How modules are packed: where the probabilities of decisions lie, by number. scripts/pack.mjs reads it, too.

/** Contexts that a byte may be in: the instruction before an opcode; the opcode and the place of an operand's byte. */
export const CONTEXTS = 2560;

/** 3 for each context, by the last step (a byte, a run, a run as far back as one of the last four): whether a run follows. */
export const RUN_AT = 0;

/** 27, by the last three steps: whether it is as far back as one of the last four. */
export const AGAIN_AT = 7680;

/** 3 by 4, by the last step: as which of them. */
export const WHICH_AT = 7707;

/** Numbers, each of NUMBER_SIZE: length of a new run less 1, of one as far back as before, distance of 2 bytes, of more. */
export const NUMBERS_AT = 7719;

/** How many bits a number has behind the first: 32; then those bits, 8 for each such count; then the lowest ones of large numbers. */
export const NUMBER_SIZE = 512;

/** What is added to the place of a bit to get that of the lowest ones. */
export const LOW_BITS = 216;

/** 256 for each context: the bits of a byte, as a tree. */
export const BYTES_AT = 9767;

/** All decisions. */
export const DECISIONS = 665127;

/** Bytes of the unpacker's memory that are its own: an i16 and a u8 for each decision. */
export const FREE_AT = 1998848;

/** A probability is the mean of so many decisions at most. */
export const MEMORY = 50;
