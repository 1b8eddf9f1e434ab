/** The types of resolved calls, for authors of a backend. */
export type * from './adamw.ts';
export type * from './add.ts';
export type * from './argmax.ts';
export type * from './causal-conv1d.ts';
export type * from './concat.ts';
export type * from './cross-entropy.ts';
export type * from './embedding.ts';
export type * from './gradient-norm.ts';
export type * from './layer-norm.ts';
export type * from './linear.ts';
export type * from './log-prob.ts';
export type * from './multiply.ts';
export type * from './reshape.ts';
export type * from './rms-norm.ts';
export type * from './sample.ts';
export type * from './selective-scan.ts';
export type * from './slice.ts';
export type { Calls, Results } from './table.ts';
