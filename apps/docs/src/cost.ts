// What a layer costs over the length of its sequence, counted by formulas that the page states beside the picture.

/** The sizes of mamba-130m, and of attention of the same width. */
const SIZES = { dModel: 768, channels: 1536, state: 16, taps: 4 } as const;

/** The operations of one layer's scan over `length` tokens: 8 for each state of each channel and token. */
export const scanOperations = (length: number): number => 8 * SIZES.channels * SIZES.state * length;

/** The operations of one layer's causal attention: two products, each of 2 dModel, for half of all pairs of tokens. */
export const attentionOperations = (length: number): number => 2 * SIZES.dModel * length ** 2;

/** The bytes that a Mamba layer remembers, in float32: its states and the inputs of its convolution. */
export const stateBytes = (): number => 4 * SIZES.channels * (SIZES.state + SIZES.taps - 1);

/** The bytes that an attention layer remembers after `length` tokens, in float32: a key and a value for each. */
export const cacheBytes = (length: number): number => 4 * 2 * SIZES.dModel * length;
