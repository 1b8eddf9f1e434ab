import { type OperationName, type Support, sizeOf, type TensorSpec } from '@mamba/core';
import { type Calls, supported, unsupported } from '@mamba/core/driver';
import type { Gpu } from './gpu/gpu.ts';
import { bindingRefusal } from './gpu/limits.ts';
import { argsortRefusal } from './operations/argsort.ts';
import { attentionRefusal } from './operations/attention.ts';
import { attentionBackwardRefusal } from './operations/attention-backward.ts';
import { convolutionRefusal } from './operations/causal-conv1d.ts';
import { convolutionBackwardRefusal } from './operations/causal-conv1d-backward.ts';
import type { KernelContext } from './operations/kernel-context.ts';
import { projectionRefusal } from './operations/linear.ts';
import { linearBackwardRefusal } from './operations/linear-backward.ts';
import { s4dRefusal } from './operations/s4d.ts';
import { s4dBackwardRefusal } from './operations/s4d-backward.ts';
import { scanRefusal, stridesOf } from './operations/selective-scan.ts';
import { scanBackwardRefusal } from './operations/selective-scan-backward.ts';
import { ssdRefusal } from './operations/ssd-scan.ts';
import { ssdBackwardRefusal } from './operations/ssd-scan-backward.ts';

/** Arguments that may be matrices in a weight format, and may be split over several buffers. */
const WEIGHTS: Partial<Record<OperationName, string>> = {
  linear: 'weight',
  linearBackward: 'weight',
  embedding: 'table',
  embeddingBackward: 'table',
};

/**
 * Whether a valid call runs on this device: dtypes, sizes that a shader can bind and address, and workgroups that
 * exist.
 */
export function supportsCall<K extends OperationName>(
  kernels: KernelContext,
  operation: K,
  call: Calls<TensorSpec>[K],
): Support {
  const values = call as unknown as Readonly<Record<string, unknown>>;
  for (const name of Object.keys(values)) {
    const reason = refuseArgument(kernels.gpu, values[name], WEIGHTS[operation] === name);
    if (reason !== undefined) return unsupported(`${name} ${reason}`);
  }
  const reason = refusals[operation]?.(kernels, call as never);
  return reason === undefined ? supported : unsupported(reason);
}

type Refusals = { [K in OperationName]?: (kernels: KernelContext, call: Calls<TensorSpec>[K]) => string | undefined };

/** Checks of results and of grids of workgroups, which may be beyond the device although every input fits. */
const refusals: Refusals = {
  selectiveScan: (kernels, call) => {
    const { state, groups, resets } = call;
    return scanRefusal(
      kernels,
      { ...call, states: state, resets: resets !== undefined },
      stridesOf(call.constantB, groups, state),
      stridesOf(call.constantC, groups, state),
    );
  },
  selectiveScanBackward: scanBackwardRefusal,
  s4d: ({ gpu }, call) => s4dRefusal(gpu, call),
  argsort: ({ gpu }, call) => argsortRefusal(gpu, call),
  s4dBackward: ({ gpu }, call) => s4dBackwardRefusal(gpu, call),
  ssdScan: ssdRefusal,
  ssdScanBackward: ssdBackwardRefusal,
  causalConv1d: ({ gpu }, call) => convolutionRefusal(gpu, call),
  causalConv1dBackward: ({ gpu }, call) => convolutionBackwardRefusal(gpu, call),
  attention: attentionRefusal,
  attentionBackward: attentionBackwardRefusal,
  linear: ({ gpu }, { rows, outputs }) => projectionRefusal(gpu, rows, outputs),
  linearBackward: ({ gpu }, call) => linearBackwardRefusal(gpu, call),
  embedding: ({ gpu }, { count, channels }) => bindingRefusal(gpu, 'the result', count * channels),
  embeddingBackward: ({ gpu }, { rows, channels }) => bindingRefusal(gpu, 'the gradient', rows * channels),
  concat: ({ gpu }, { extents, outer, inner }) =>
    bindingRefusal(gpu, 'the result', outer * inner * extents.reduce((sum, extent) => sum + extent, 0)),
  // Counts of logits are formed in float32.
  sample: (_, { vocab }) => (vocab > 2 ** 24 ? `a vocabulary of ${vocab} is more than 2^24` : undefined),
};

/** A call holds tensors, lists of tensors, and plain values, which are not looked at. */
function refuseArgument(gpu: Gpu, value: unknown, weight: boolean): string | undefined {
  if (isSpec(value)) return refuseTensor(gpu, value, weight);
  if (!Array.isArray(value)) return undefined;
  for (const item of value) {
    const reason = isSpec(item) ? refuseTensor(gpu, item, weight) : undefined;
    if (reason !== undefined) return reason;
  }
  return undefined;
}

function refuseTensor(gpu: Gpu, spec: TensorSpec, weight: boolean): string | undefined {
  const { dtype, shape } = spec;
  if (dtype === 'float64') return `is ${dtype}, which this backend does not store`;
  if (dtype !== 'float32' && dtype !== 'int32' && !weight)
    return `is ${dtype}: activations and vectors are float32 here, and only weights may be smaller`;
  // Weights are split by rows, and their upload was checked, so they fit.
  if (weight) return undefined;
  const bytes = 4 * sizeOf(shape);
  if (bytes > gpu.maxBinding)
    return `takes ${bytes} bytes, more than the ${gpu.maxBinding} that a shader may bind here; take a smaller chunk or batch`;
  return undefined;
}

function isSpec(value: unknown): value is TensorSpec {
  return typeof value === 'object' && value !== null && 'shape' in value && 'dtype' in value;
}
