/** The table of operations: for each, its resolved call and the function that checks arguments and makes that call. */
import type { OperationName, Operations } from '../contract/operations.ts';
import type { Precision, TensorSpec } from '../contract/tensor.ts';
import { type AdamwCall, resolveAdamw } from './adamw.ts';
import { type AddCall, resolveAdd } from './add.ts';
import { type ArgmaxCall, resolveArgmax } from './argmax.ts';
import { type ArgsortCall, resolveArgsort } from './argsort.ts';
import {
  type AttentionBackwardCall,
  type AttentionCall,
  resolveAttention,
  resolveAttentionBackward,
} from './attention.ts';
import {
  type CausalConv1dBackwardCall,
  type CausalConv1dCall,
  resolveCausalConv1d,
  resolveCausalConv1dBackward,
} from './causal-conv1d.ts';
import { type ConcatCall, resolveConcat } from './concat.ts';
import {
  type CrossEntropyBackwardCall,
  type CrossEntropyCall,
  resolveCrossEntropy,
  resolveCrossEntropyBackward,
} from './cross-entropy.ts';
import {
  type EmbeddingBackwardCall,
  type EmbeddingCall,
  resolveEmbedding,
  resolveEmbeddingBackward,
} from './embedding.ts';
import {
  type GatedRmsNormBackwardCall,
  type GatedRmsNormCall,
  resolveGatedRmsNorm,
  resolveGatedRmsNormBackward,
} from './gated-rms-norm.ts';
import { type GradientNormCall, resolveGradientNorm } from './gradient-norm.ts';
import {
  type LayerNormBackwardCall,
  type LayerNormCall,
  resolveLayerNorm,
  resolveLayerNormBackward,
} from './layer-norm.ts';
import { type LinearBackwardCall, type LinearCall, resolveLinear, resolveLinearBackward } from './linear.ts';
import { type LogProbBackwardCall, type LogProbCall, resolveLogProb, resolveLogProbBackward } from './log-prob.ts';
import { type MultiplyBackwardCall, type MultiplyCall, resolveMultiply, resolveMultiplyBackward } from './multiply.ts';
import { type ReshapeCall, resolveReshape } from './reshape.ts';
import { type RmsNormBackwardCall, type RmsNormCall, resolveRmsNorm, resolveRmsNormBackward } from './rms-norm.ts';
import { type RopeBackwardCall, type RopeCall, resolveRope, resolveRopeBackward } from './rope.ts';
import { resolveS4d, resolveS4dBackward, type S4dBackwardCall, type S4dCall } from './s4d.ts';
import { resolveSample, type SampleCall } from './sample.ts';
import {
  type KeptSteps,
  resolveSelectiveScan,
  resolveSelectiveScanBackward,
  type SelectiveScanBackwardCall,
  type SelectiveScanCall,
} from './selective-scan.ts';
import { resolveSlice, type SliceCall } from './slice.ts';
import { resolveSsdScan, resolveSsdScanBackward, type SsdScanBackwardCall, type SsdScanCall } from './ssd-scan.ts';
import { resolveWriteRows, type WriteRowsCall } from './write-rows.ts';

/** Operation → its resolved call, which kernels receive: arguments checked, defaults filled in, extents named. */
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
  reshape: ReshapeCall<T>;
  concat: ConcatCall<T>;
  argmax: ArgmaxCall<T>;
  sample: SampleCall<T>;
  logProb: LogProbCall<T>;
  s4d: S4dCall<T>;
  attention: AttentionCall<T>;
  rope: RopeCall<T>;
  argsort: ArgsortCall<T>;
  selectiveScanBackward: SelectiveScanBackwardCall<T>;
  s4dBackward: S4dBackwardCall<T>;
  ssdScan: SsdScanCall<T>;
  gatedRmsNorm: GatedRmsNormCall<T>;
  ssdScanBackward: SsdScanBackwardCall<T>;
  gatedRmsNormBackward: GatedRmsNormBackwardCall<T>;
  causalConv1dBackward: CausalConv1dBackwardCall<T>;
  attentionBackward: AttentionBackwardCall<T>;
  ropeBackward: RopeBackwardCall<T>;
  linearBackward: LinearBackwardCall<T>;
  rmsNormBackward: RmsNormBackwardCall<T>;
  layerNormBackward: LayerNormBackwardCall<T>;
  embeddingBackward: EmbeddingBackwardCall<T>;
  multiplyBackward: MultiplyBackwardCall<T>;
  logProbBackward: LogProbBackwardCall<T>;
  crossEntropyBackward: CrossEntropyBackwardCall<T>;
  crossEntropy: CrossEntropyCall<T>;
  gradientNorm: GradientNormCall<T>;
  adamw: AdamwCall<T>;
  writeRows: WriteRowsCall<T>;
}

/** Operation → its result: one `T`, an object of `T`s, or nothing for an update. */
export type Results<T> = { [K in OperationName]: ReturnType<Operations<T>[K]> };

/** A call, and the specs of its results in the form in which the operation returns them. */
interface Resolved<K extends OperationName> {
  readonly call: Calls<TensorSpec>[K];
  readonly outputs: Results<TensorSpec>[K];
}

/** What a call depends on beside its arguments. */
export interface Conventions {
  readonly precision: Precision;
  readonly keptSteps: KeptSteps;
}

/** Checks the arguments of an operation, as users pass them, and makes its call. Throws `invalid-argument`. */
type Resolver<K extends OperationName> = (
  conventions: Conventions,
  ...args: Parameters<Operations<TensorSpec>[K]>
) => Resolved<K>;

/** Every operation, with its resolver. A backend has a method for each entry. */
export const resolvers: { readonly [K in OperationName]: Resolver<K> } = {
  selectiveScan: ({ keptSteps }, u, delta, A, B, C, options) =>
    resolveSelectiveScan(u, delta, A, B, C, options, keptSteps),
  causalConv1d: (_, x, weight, bias, options) => resolveCausalConv1d(x, weight, bias, options),
  linear: (_, x, weight, bias) => resolveLinear(x, weight, bias),
  rmsNorm: (_, x, options) => resolveRmsNorm(x, options),
  layerNorm: (_, x, options) => resolveLayerNorm(x, options),
  embedding: ({ precision }, table, ids) => resolveEmbedding(table, ids, precision),
  add: (_, ...args) => resolveAdd(...args),
  multiply: (_, a, b, options) => resolveMultiply(a, b, options),
  slice: (_, ...args) => resolveSlice(...args),
  reshape: (_, ...args) => resolveReshape(...args),
  concat: (_, ...args) => resolveConcat(...args),
  argmax: (_, ...args) => resolveArgmax(...args),
  sample: (_, ...args) => resolveSample(...args),
  logProb: (_, logits, ids) => resolveLogProb(logits, ids),
  selectiveScanBackward: ({ keptSteps }, u, delta, A, B, C, options, cotangents, states) =>
    resolveSelectiveScanBackward(u, delta, A, B, C, options, cotangents, states, keptSteps),
  s4d: (_, u, dt, A, C, options) => resolveS4d(u, dt, A, C, options),
  argsort: (_, keys) => resolveArgsort(keys),
  s4dBackward: (_, ...args) => resolveS4dBackward(...args),
  ssdScan: (_, x, dt, A, B, C, options) => resolveSsdScan(x, dt, A, B, C, options),
  gatedRmsNorm: (_, x, z, options) => resolveGatedRmsNorm(x, z, options),
  ssdScanBackward: (_, ...args) => resolveSsdScanBackward(...args),
  gatedRmsNormBackward: (_, ...args) => resolveGatedRmsNormBackward(...args),
  attention: (_, q, k, v, options) => resolveAttention(q, k, v, options),
  rope: (_, x, options) => resolveRope(x, options),
  causalConv1dBackward: (_, ...args) => resolveCausalConv1dBackward(...args),
  attentionBackward: (_, ...args) => resolveAttentionBackward(...args),
  ropeBackward: (_, ...args) => resolveRopeBackward(...args),
  linearBackward: (_, ...args) => resolveLinearBackward(...args),
  rmsNormBackward: (_, ...args) => resolveRmsNormBackward(...args),
  layerNormBackward: (_, ...args) => resolveLayerNormBackward(...args),
  embeddingBackward: ({ precision }, table, ids, dy) => resolveEmbeddingBackward(table, ids, dy, precision),
  multiplyBackward: (_, ...args) => resolveMultiplyBackward(...args),
  logProbBackward: (_, ...args) => resolveLogProbBackward(...args),
  crossEntropyBackward: (_, ...args) => resolveCrossEntropyBackward(...args),
  crossEntropy: (_, logits, targets, options) => resolveCrossEntropy(logits, targets, options),
  gradientNorm: (_, ...args) => resolveGradientNorm(...args),
  adamw: (_, ...args) => resolveAdamw(...args),
  writeRows: (_, target, rows, options) => resolveWriteRows(target, rows, options),
};

/** The operation whose kernel runs a call: `reshape` is a slice of the whole tensor, and every other is its own. */
export function kernelOf(operation: OperationName): Exclude<OperationName, 'reshape'> {
  return operation === 'reshape' ? 'slice' : operation;
}

/** The names of all operations. */
export const OPERATIONS: readonly OperationName[] = Object.keys(resolvers) as OperationName[];
