/**
 * The calls of all operations, resolved: arguments checked, defaults filled in, extents named. What kernels receive.
 */
import type { OperationName, Operations } from '../contract/operations.ts';
import type { AddCall } from './add.ts';
import type { ArgmaxCall } from './argmax.ts';
import type { CausalConv1dBackwardCall, CausalConv1dCall } from './causal-conv1d.ts';
import type { ConcatCall } from './concat.ts';
import type { EmbeddingCall } from './embedding.ts';
import type { LayerNormCall } from './layer-norm.ts';
import type { LinearCall } from './linear.ts';
import type { LogProbCall } from './log-prob.ts';
import type { MultiplyCall } from './multiply.ts';
import type { RmsNormCall } from './rms-norm.ts';
import type { SampleCall } from './sample.ts';
import type { SelectiveScanBackwardCall, SelectiveScanCall } from './selective-scan.ts';
import type { SliceCall } from './slice.ts';

/** Operation → its resolved call. */
export interface Calls<T> {
  selectiveScan: SelectiveScanCall<T>;
  causalConv1d: CausalConv1dCall<T>;
  linear: LinearCall<T>;
  rmsNorm: RmsNormCall<T>;
  layerNorm: LayerNormCall<T>;
  embedding: EmbeddingCall<T>;
  add: AddCall<T>;
  multiply: MultiplyCall<T>;
  slice: SliceCall<T>;
  concat: ConcatCall<T>;
  argmax: ArgmaxCall<T>;
  sample: SampleCall<T>;
  logProb: LogProbCall<T>;
  selectiveScanBackward: SelectiveScanBackwardCall<T>;
  causalConv1dBackward: CausalConv1dBackwardCall<T>;
}

/** Operation → what it gives: one `T`, or an object of `T`s. */
export type Results<T> = { [K in OperationName]: ReturnType<Operations<T>[K]> };

export type * from './add.ts';
export type * from './argmax.ts';
export type * from './causal-conv1d.ts';
export type * from './concat.ts';
export type * from './embedding.ts';
export type * from './layer-norm.ts';
export type * from './linear.ts';
export type * from './log-prob.ts';
export type * from './multiply.ts';
export type * from './rms-norm.ts';
export type * from './sample.ts';
export type * from './selective-scan.ts';
export type * from './slice.ts';
