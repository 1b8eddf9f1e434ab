/** The systems that Mamba is compared with: for each, its kind of block, and the operation inside it as a function. */
export { defineMixers } from './define.ts';
export { defineGru, type GruConfig } from './gru/block.ts';
export { type GruState, type GruWeights, gru } from './gru/gru.ts';
export { defineLstm, type LstmConfig } from './lstm/block.ts';
export { type LstmState, type LstmWeights, lstm } from './lstm/lstm.ts';
export type { RecurrenceOptions } from './shared/steps.ts';
