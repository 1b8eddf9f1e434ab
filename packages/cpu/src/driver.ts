import { sizeOf, type TensorSpec } from '@mamba/core';
import { copyFloats, type Driver, type Kernels, supported, type UploadTarget, unsupported } from '@mamba/core/driver';
import type { Block } from './memory/allocator.ts';
import { add } from './operations/add.ts';
import { argmax } from './operations/argmax.ts';
import { causalConv1d } from './operations/causal-conv1d.ts';
import { concat } from './operations/concat.ts';
import { type Context, ELEMENT } from './operations/context.ts';
import { embedding } from './operations/embedding.ts';
import { linear } from './operations/linear.ts';
import { logProb } from './operations/log-prob.ts';
import { rmsNorm } from './operations/rms-norm.ts';
import { sample } from './operations/sample.ts';
import { selectiveScan } from './operations/selective-scan.ts';
import { slice } from './operations/slice.ts';

/** Storage is a block of the one WebAssembly memory, float32 or int32, contiguous whatever the role. */
export function createDriver(context: Context): Driver<Block> {
  const { heap } = context;
  return {
    name: 'cpu',
    description: 'WebAssembly SIMD, 1 thread',
    details: { simd: true, threads: 1, build: 'simd' },
    precision: 'float32',
    kernels: kernels(context),

    upload(host) {
      const size = sizeOf(host.shape);
      return heap.run((arena) => {
        const block = arena.result(size * ELEMENT);
        if (host.dtype === 'int32') heap.integers(block, size).set(host.data);
        else copyFloats(host, heap.floats(block, size));
        return block;
      });
    },
    async read({ shape, dtype, storage }) {
      const size = sizeOf(shape);
      return dtype === 'int32' ? heap.integers(storage, size).slice() : heap.floats(storage, size).slice();
    },
    free: (block) => block.free(),
    async synchronize() {},
    supportsUpload,
    memory: () => ({ bytes: heap.used, reserved: heap.reserved }),
    dispose() {},
  };
}

function kernels(context: Context): Kernels<Block> {
  return {
    selectiveScan: (call) => selectiveScan(context, call),
    causalConv1d: (call) => causalConv1d(context, call),
    linear: (call) => linear(context, call),
    rmsNorm: (call) => rmsNorm(context, call),
    embedding: (call) => embedding(context, call),
    add: (call) => add(context, call),
    slice: (call) => slice(context, call),
    concat: (call) => concat(context, call),
    argmax: (call) => argmax(context, call),
    sample: (call) => sample(context, call),
    logProb: (call) => logProb(context, call),
  };
}

function supportsUpload(_spec: TensorSpec, { dtype }: UploadTarget) {
  if (dtype === 'float32' || dtype === 'int32') return supported;
  return unsupported(
    dtype === 'float64'
      ? 'cpu computes in float32; float64 values can be uploaded, and are rounded, with dtype float32'
      : `cpu stores float32 and int32, not ${dtype} yet; leave the option dtype out to have the values converted`,
  );
}
