/** The Mamba block on the device; core's blocks/mamba defines what it computes. */
import type { DeviceTensor, MambaConfig, MambaWeights } from '@mamba/core/driver';
import { bindingRefusal } from '../../gpu/limits.ts';
import { convolutionRefusal } from '../../operations/causal-conv1d.ts';
import type { KernelContext } from '../../operations/kernel-context.ts';
import { projectionRefusal } from '../../operations/linear.ts';
import { scanRefusal, stridesOf } from '../../operations/selective-scan.ts';
import type { Storage } from '../../storage.ts';
import type { FusedKind, RmsNorm } from '../fused-block.ts';
import { type PrefillBuffers, prefill, prefillBuffers } from './prefill.ts';
import { projectedRow } from './sizes.ts';
import { type StepBuffers, step, stepBuffers } from './step.ts';
import { type BoundMamba, bindMamba } from './weights.ts';

/** A block with all that its kernels need. */
export interface MambaBlock {
  readonly kernels: KernelContext;
  readonly config: MambaConfig;
  readonly dModel: number;
  readonly norm: RmsNorm | undefined;
  readonly weights: BoundMamba;
}

export const mamba: FusedKind<'mamba'> = {
  refusal: mambaRefusal,
  bind(kernels, allocator, { config, weights, dModel, norm }) {
    const bound = bindMamba(kernels.gpu, allocator, config, weights as MambaWeights<DeviceTensor<Storage>>);
    const block: MambaBlock = { kernels, config, dModel, norm, weights: bound };
    return {
      // The convolution reads its last inputs while it writes the next ones, so `conv` is always new.
      slotsInPlace: ['ssm'],
      prefillBuffers: (rows) => prefillBuffers(block, rows),
      stepBuffers: (rows) => stepBuffers(block, rows),
      prefill: (call, buffers) => prefill(block, call, buffers as PrefillBuffers),
      step: (call, buffers) => step(block, call, buffers as StepBuffers),
      repack: bound.repack,
      dispose: bound.dispose,
    };
  },
};

function mambaRefusal(kernels: KernelContext, config: MambaConfig, batch: number, length: number): string | undefined {
  const { gpu } = kernels;
  const { dInner, dState, dConv } = config;
  const rows = batch * length;
  const strides = stridesOf(false, 1, dState);
  return (
    bindingRefusal(gpu, 'x and z', rows * 2 * dInner) ??
    bindingRefusal(gpu, 'dt, B and C', rows * projectedRow(config)) ??
    projectionRefusal(gpu, rows, 2 * dInner) ??
    convolutionRefusal(gpu, { batch, dim: dInner, width: dConv }) ??
    // Resets need the larger buffer and the general layout, so calls without resets fit where these fit.
    scanRefusal(
      kernels,
      { batch, length, dim: dInner, states: dState, groups: 1, discretization: 'euler', resets: true },
      strides,
      strides,
    )
  );
}
