import { sizeOf, type TensorSpec } from '@mamba/core';
import {
  type Calls,
  copyFloats,
  type Driver,
  type Kernels,
  supported,
  type UploadTarget,
  unsupported,
} from '@mamba/core/driver';
import { fusedBlocks, fusedLayer } from './blocks/block.ts';
import { LIMIT } from './memory/heap.ts';
import { isMatrix, matrixUpload, readMatrix, uploadMatrix } from './memory/matrix.ts';
import type { Storage } from './memory/storage.ts';
import { fusedModel } from './model/fused-model.ts';
import { adamw } from './operations/adamw.ts';
import { add } from './operations/add.ts';
import { argmax } from './operations/argmax.ts';
import { argsort } from './operations/argsort.ts';
import { attention } from './operations/attention.ts';
import { attentionBackward } from './operations/attention-backward.ts';
import { causalConv1d } from './operations/causal-conv1d.ts';
import { causalConv1dBackward } from './operations/causal-conv1d-backward.ts';
import { concat } from './operations/concat.ts';
import { type Context, ELEMENT } from './operations/context.ts';
import { crossEntropy, crossEntropyBackward, logProbBackward } from './operations/cross-entropy.ts';
import { embedding } from './operations/embedding.ts';
import { embeddingBackward } from './operations/embedding-backward.ts';
import { gatedRmsNorm, gatedRmsNormBackward } from './operations/gated-rms-norm.ts';
import { gradientNorm } from './operations/gradient-norm.ts';
import { layerNorm } from './operations/layer-norm.ts';
import { linear } from './operations/linear.ts';
import { linearBackward } from './operations/linear-backward.ts';
import { logProb } from './operations/log-prob.ts';
import { multiply } from './operations/multiply.ts';
import { multiplyBackward } from './operations/multiply-backward.ts';
import { layerNormBackward, rmsNormBackward } from './operations/norm-backward.ts';
import { rmsNorm } from './operations/rms-norm.ts';
import { rope, ropeBackward } from './operations/rope.ts';
import { s4d } from './operations/s4d.ts';
import { s4dBackward } from './operations/s4d-backward.ts';
import { sample } from './operations/sample.ts';
import { keptSteps, selectiveScan } from './operations/selective-scan.ts';
import { selectiveScanBackward } from './operations/selective-scan-backward.ts';
import { slice } from './operations/slice.ts';
import { ssdScan } from './operations/ssd-scan.ts';
import { ssdScanBackward } from './operations/ssd-scan-backward.ts';
import { writeRows } from './operations/write-rows.ts';
import type { Runtime } from './runtime.ts';

/**
 * The driver. A tensor's storage is an allocation in the one WebAssembly memory: row-major, or a matrix in panels of
 * its dtype's layout.
 */
export function createDriver(runtime: Runtime): Driver<Storage> {
  const { heap, wasm, team, build, notes, wide } = runtime;
  return {
    name: 'cpu',
    description: describe(runtime),
    details: { simd: true, threads: team.threads, build, revectorized: wide, ...notes },
    precision: 'float32',
    kernels: kernels(runtime),

    upload(host, target) {
      if (isMatrix(host.shape, target)) return uploadMatrix(heap, wasm, host, target);
      const size = sizeOf(host.shape);
      return heap.run((arena) => {
        const allocation = arena.result(size * ELEMENT);
        if (host.dtype === 'int32') heap.integers(allocation, size).set(host.data);
        else copyFloats(host, heap.floats(allocation, size));
        return allocation;
      });
    },
    uploadRows(spec, target) {
      return isMatrix(spec.shape, target) ? matrixUpload(heap, wasm, spec.shape, target.dtype) : undefined;
    },
    async read(tensor) {
      const { shape, dtype, storage } = tensor;
      if (storage.layout !== undefined) return readMatrix(heap, wasm, tensor);
      const size = sizeOf(shape);
      return dtype === 'int32' ? heap.integers(storage, size).slice() : heap.floats(storage, size).slice();
    },
    free: (storage) => storage.free(),
    async synchronize() {},
    keptSteps,
    supports,
    supportsUpload,
    memory: () => ({
      bytes: heap.used - runtime.overhead,
      reserved: heap.reserved,
      limit: LIMIT - runtime.overhead,
    }),
    watchMemory() {
      const end = heap.watch();
      return () => end() - runtime.overhead;
    },
    dispose: () => runtime.dispose(),
    blocks: fusedBlocks(runtime),
    layer: (fusion, source) => fusedLayer(runtime, fusion, source),
    model: (fusion, config, weights) => fusedModel(runtime, fusion, config, weights),
  };
}

function describe({ team, build, wide, notes }: Runtime): string {
  const kind = build === 'relaxed' ? 'relaxed SIMD' : 'SIMD';
  const threads = team.threads === 1 ? '1 thread' : `${team.threads} threads`;
  const why = notes.singleThread === undefined ? '' : ` (${notes.singleThread})`;
  return `WebAssembly ${kind}${wide ? ' (256-bit)' : ''}, ${threads}${why}`;
}

function kernels(context: Context): Kernels<Storage> {
  return {
    selectiveScan: (call) => selectiveScan(context, call),
    causalConv1d: (call) => causalConv1d(context, call),
    linear: (call) => linear(context, call),
    rmsNorm: (call) => rmsNorm(context, call),
    layerNorm: (call) => layerNorm(context, call),
    embedding: (call) => embedding(context, call),
    add: (call) => add(context, call),
    multiply: (call) => multiply(context, call),
    slice: (call) => slice(context, call),
    concat: (call) => concat(context, call),
    argmax: (call) => argmax(context, call),
    sample: (call) => sample(context, call),
    logProb: (call) => logProb(context, call),
    s4d: (call) => s4d(context, call),
    argsort: (call) => argsort(context, call),
    s4dBackward: (call) => s4dBackward(context, call),
    gatedRmsNorm: (call) => gatedRmsNorm(context, call),
    ssdScan: (call) => ssdScan(context, call),
    attention: (call) => attention(context, call),
    rope: (call) => rope(context, call),
    selectiveScanBackward: (call) => selectiveScanBackward(context, call),
    gatedRmsNormBackward: (call) => gatedRmsNormBackward(context, call),
    ssdScanBackward: (call) => ssdScanBackward(context, call),
    causalConv1dBackward: (call) => causalConv1dBackward(context, call),
    attentionBackward: (call) => attentionBackward(context, call),
    ropeBackward: (call) => ropeBackward(context, call),
    linearBackward: (call) => linearBackward(context, call),
    rmsNormBackward: (call) => rmsNormBackward(context, call),
    layerNormBackward: (call) => layerNormBackward(context, call),
    embeddingBackward: (call) => embeddingBackward(context, call),
    multiplyBackward: (call) => multiplyBackward(context, call),
    logProbBackward: (call) => logProbBackward(context, call),
    crossEntropyBackward: (call) => crossEntropyBackward(context, call),
    crossEntropy: (call) => crossEntropy(context, call),
    gradientNorm: (call) => gradientNorm(context, call),
    adamw: (call) => adamw(context, call),
    writeRows: (call) => writeRows(context, call),
  };
}

/** The arguments that may be matrices in any dtype that is stored. */
const MATRICES: Partial<Record<keyof Calls<TensorSpec>, string>> = {
  linear: 'weight',
  linearBackward: 'weight',
  embedding: 'table',
  embeddingBackward: 'table',
};

/** The weight of linear and the table of embedding may have any dtype that is stored; all else is float32 or int32. */
function supports<K extends keyof Calls<TensorSpec>>(operation: K, call: Calls<TensorSpec>[K]) {
  const matrix = MATRICES[operation];
  for (const [name, value] of Object.entries(call as object)) {
    const tensors = (Array.isArray(value) ? value : [value]) as readonly unknown[];
    for (const tensor of tensors) {
      const dtype = (tensor as TensorSpec | undefined)?.dtype;
      if (dtype === undefined || dtype === 'float32' || dtype === 'int32') continue;
      if (dtype === 'float64' || name !== matrix)
        return unsupported(`cpu takes float32, ${operation}.${name} is ${dtype}`);
    }
  }
  return supported;
}

function supportsUpload({ shape }: TensorSpec, { dtype }: UploadTarget) {
  if (dtype === 'float32' || dtype === 'int32') return supported;
  if (dtype === 'float64')
    return unsupported('cpu computes in float32; float64 values can be uploaded, and are rounded, with dtype float32');
  if (shape.length === 2) return supported;
  return unsupported(
    `cpu stores matrices in ${dtype}, not tensors of rank ${shape.length}; leave the option dtype out`,
  );
}
