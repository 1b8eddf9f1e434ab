import type { Driver } from '@mamba/core/driver';
import { fusedBlocks, layerKernel } from './blocks/block-kernel.ts';
import { capture } from './capture.ts';
import { isSoftware } from './gpu/acquire.ts';
import { adapterName } from './gpu/adapter-name.ts';
import type { Gpu } from './gpu/gpu.ts';
import { joinMatrices } from './joined.ts';
import { fusedModel } from './model/fused-model.ts';
import { plannedModel } from './model/planned-model.ts';
import { adamw, Rates } from './operations/adamw.ts';
import { add } from './operations/add.ts';
import { argmax } from './operations/argmax.ts';
import { argsort } from './operations/argsort.ts';
import { attention } from './operations/attention.ts';
import { attentionBackward } from './operations/attention-backward.ts';
import { causalConv1d } from './operations/causal-conv1d.ts';
import { causalConv1dBackward } from './operations/causal-conv1d-backward.ts';
import { concat } from './operations/concat.ts';
import { crossEntropy } from './operations/cross-entropy.ts';
import { crossEntropyBackward } from './operations/cross-entropy-backward.ts';
import { embedding } from './operations/embedding.ts';
import { embeddingBackward } from './operations/embedding-backward.ts';
import { gatedRmsNorm, gatedRmsNormBackward } from './operations/gated-rms-norm.ts';
import { gradientNorm } from './operations/gradient-norm.ts';
import { type KernelOptions, kernelContext } from './operations/kernel-context.ts';
import { layerNorm } from './operations/layer-norm.ts';
import { layerNormBackward } from './operations/layer-norm-backward.ts';
import { linear } from './operations/linear.ts';
import { linearBackward } from './operations/linear-backward.ts';
import { logProb } from './operations/log-prob.ts';
import { logProbBackward } from './operations/log-prob-backward.ts';
import { multiply } from './operations/multiply.ts';
import { multiplyBackward } from './operations/multiply-backward.ts';
import { rmsNorm } from './operations/rms-norm.ts';
import { rmsNormBackward } from './operations/rms-norm-backward.ts';
import { rope, ropeBackward } from './operations/rope.ts';
import { s4d } from './operations/s4d.ts';
import { s4dBackward } from './operations/s4d-backward.ts';
import { sample } from './operations/sample.ts';
import { selectiveScan } from './operations/selective-scan.ts';
import { keptSteps, selectiveScanBackward } from './operations/selective-scan-backward.ts';
import { slice } from './operations/slice.ts';
import { ssdScan } from './operations/ssd-scan.ts';
import { ssdScanBackward } from './operations/ssd-scan-backward.ts';
import { writeRows } from './operations/write-rows.ts';
import type { Storage } from './storage.ts';
import { supportsCall } from './supports.ts';
import { read, supportsUpload, upload, uploadRows } from './transfer/transfer.ts';

export function createDriver(gpu: Gpu, options: KernelOptions = {}): Driver<Storage> {
  const kernels = kernelContext(gpu, options);
  const { matrixUnits, turns, places } = kernels;
  const { info } = gpu;
  const name = adapterName(info);
  const rates = new Rates(gpu);
  return {
    name: 'webgpu',
    description: name === '' ? 'WebGPU' : `WebGPU, ${name}`,
    details: {
      vendor: info.vendor,
      architecture: info.architecture,
      device: info.device,
      adapter: info.description,
      software: isSoftware(info),
      subgroups: gpu.subgroups === undefined ? 'none' : `${gpu.subgroups.min} to ${gpu.subgroups.max}`,
      matrixUnits: matrixUnits === undefined ? 'not used' : `${matrixUnits.precision}, 16 × 16 × 16`,
      maxBinding: gpu.maxBinding,
      get lost(): boolean {
        return gpu.failures.lost;
      },
    },
    precision: 'float32',
    kernels: {
      selectiveScan: (call) => selectiveScan(kernels, call),
      causalConv1d: (call) => causalConv1d(gpu, call),
      linear: (call) => linear(kernels, call),
      rmsNorm: (call) => rmsNorm(gpu, call),
      layerNorm: (call) => layerNorm(gpu, call),
      embedding: (call) => embedding(gpu, call),
      add: (call) => add(gpu, call),
      multiply: (call) => multiply(gpu, call),
      slice: (call) => slice(gpu, call),
      concat: (call) => concat(gpu, call),
      argmax: (call) => argmax(gpu, call),
      sample: (call) => sample(gpu, call),
      logProb: (call) => logProb(gpu, call),
      s4d: (call) => s4d(gpu, call),
      argsort: (call) => argsort(gpu, call),
      s4dBackward: (call) => s4dBackward(gpu, call),
      ssdScan: (call) => ssdScan(kernels, call),
      gatedRmsNorm: (call) => gatedRmsNorm(gpu, call),
      attention: (call) => attention(kernels, call),
      rope: (call) => rope(gpu, turns, call),
      selectiveScanBackward: (call) => selectiveScanBackward(kernels, call),
      ssdScanBackward: (call) => ssdScanBackward(kernels, call),
      gatedRmsNormBackward: (call) => gatedRmsNormBackward(gpu, call),
      causalConv1dBackward: (call) => causalConv1dBackward(gpu, call),
      attentionBackward: (call) => attentionBackward(gpu, call),
      ropeBackward: (call) => ropeBackward(gpu, turns, call),
      linearBackward: (call) => linearBackward(kernels, call),
      rmsNormBackward: (call) => rmsNormBackward(gpu, call),
      layerNormBackward: (call) => layerNormBackward(gpu, call),
      embeddingBackward: (call) => embeddingBackward(gpu, call),
      multiplyBackward: (call) => multiplyBackward(gpu, call),
      logProbBackward: (call) => logProbBackward(gpu, call),
      crossEntropy: (call) => crossEntropy(gpu, call),
      crossEntropyBackward: (call) => crossEntropyBackward(gpu, call),
      gradientNorm: (call) => gradientNorm(gpu, call),
      adamw: (call) => adamw(gpu, rates, call),
      writeRows: (call) => writeRows(gpu, call),
    },
    upload: (host, target) => upload(gpu, host, target),
    uploadRows: (spec, target) => uploadRows(gpu, spec, target),
    read: (tensor) => read(gpu, tensor),
    free({ parts, joined }) {
      if (joined !== undefined && --joined.alive.parts > 0) return;
      for (const { buffer } of parts) gpu.give(buffer);
    },
    synchronize: () => gpu.readback.synchronize(),
    capture: (inputs, body) => capture(gpu, inputs, body),
    keptSteps: (call) => keptSteps(kernels, call),
    supports: (operation, call) => supportsCall(kernels, operation, call),
    supportsUpload: (spec, target) => supportsUpload(gpu, spec, target),
    memory: () => ({ bytes: gpu.pool.bytes, reserved: gpu.pool.reserved + gpu.readback.reserved }),
    watchMemory: () => gpu.pool.watch(),
    dispose() {
      rates.dispose();
      turns.dispose();
      places.dispose();
      return gpu.dispose();
    },
    blocks: fusedBlocks(kernels),
    layer: (context, source) => layerKernel(kernels, context, source),
    join: (matrices) => joinMatrices(gpu, matrices),
    model: (context, config, weights) =>
      fusedModel(kernels, context, config, weights) ?? plannedModel(kernels, context, config, weights),
  };
}
