/**
 * Exports of the module. Large operations are commands of a program, which one thread or a team runs (`runAlone`,
 * `runTeam`, `serve`); small ones are functions. Nothing is kept between calls, neither a heap nor mutable static data,
 * so many instances may share one memory. All addresses and strides are in bytes, and all extents in elements. Tensors
 * are float32 or int32; kernels/weights.ts describes matrices.
 */
export { add } from './kernels/add';
export { argmax, magnitude } from './kernels/argmax';
export { argsort } from './kernels/argsort';
export { concat } from './kernels/concat';
export { embedding } from './kernels/embedding';
export { tileRows } from './kernels/linear-tile';
export { logProb } from './kernels/log-prob';
export { rmsNorm } from './kernels/rms-norm';
export { softmax } from './kernels/sample';
export { ssdBackwardScratch } from './kernels/ssd-scan-backward/call';
export { ssdScratch } from './kernels/ssd-scan/call';
export { slice } from './kernels/slice';
export { packBits, packMatrix, unpackMatrix } from './kernels/weights';
export { writeRows } from './kernels/write-rows';
export { fail, finish, open, runAlone, runTeam, serve, stop } from './program/run';

/** The first address that is free for tensors; constants lie below it. */
export function reserved(): usize {
  return __heap_base;
}
