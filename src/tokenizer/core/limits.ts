// Limits that every kind of vocabulary shares.

/**
 * Most tokens of a vocabulary: four times the largest in use. GGUF readers cap metadata arrays alike, and the order of
 * merges packs a rank below 2^21 and a position into one double.
 */
export const MAX_PIECES = 1 << 20;
