/** The systems that Mamba is compared with: for each, its kind of block, and the operation inside it as a function. */
export { defineMixers } from './define.ts';
export { defineGru, type GruConfig } from './gru/block.ts';
export { type GruState, type GruWeights, gru } from './gru/gru.ts';
export { defineLstm, type LstmConfig } from './lstm/block.ts';
export { type LstmState, type LstmWeights, lstm } from './lstm/lstm.ts';
export { defineS4d, type S4dConfig } from './s4d/block.ts';
export type { S4dInitialisation } from './s4d/initial.ts';
export { type S4dKernelOptions, s4dKernel } from './s4d/kernel.ts';
export type { RecurrenceOptions } from './shared/steps.ts';
