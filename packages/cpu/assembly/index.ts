/**
 * What the module exports. Every kernel works on a part of its operation that it is told (a range of rows, channels or outputs) and
 * keeps nothing between calls: no heap, no mutable static data. So many instances may share one memory.
 * All addresses and strides are in bytes, all extents in elements; tensors are float32 or int32.
 */
export { add } from './kernels/add';
export { argmax } from './kernels/argmax';
export { causalConv1d } from './kernels/causal-conv1d';
export { concat } from './kernels/concat';
export { embedding } from './kernels/embedding';
export { linearMany, linearFew } from './kernels/linear';
export { logProb } from './kernels/log-prob';
export { rmsNorm } from './kernels/rms-norm';
export { softmax } from './kernels/sample';
export { selectiveScan } from './kernels/selective-scan';
export { slice } from './kernels/slice';

/** First address that is free for tensors: constants lie below. */
export function reserved(): usize {
  return __heap_base;
}
