// The tensor types that are written: their numbers in GGUF, and the bytes of a block.

export const TO_F32 = 0;
export const TO_F16 = 1;
export const TO_Q4_0 = 2;
export const TO_Q4_1 = 3;
export const TO_Q5_0 = 6;
export const TO_Q5_1 = 7;
export const TO_Q8_0 = 8;
export const TO_Q4_K = 12;
export const TO_Q5_K = 13;
export const TO_Q6_K = 14;
export const TO_IQ4_NL = 20;
export const TO_BF16 = 30;

export const Q4_0_BYTES = 18;
export const Q4_1_BYTES = 20;
export const Q5_0_BYTES = 22;
export const Q5_1_BYTES = 24;
export const Q8_0_BYTES = 34;
export const Q4_K_BYTES = 144;
export const Q5_K_BYTES = 176;
export const Q6_K_BYTES = 210;
export const IQ4_NL_BYTES = 18;
