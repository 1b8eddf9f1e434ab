import { type OperationName, type Support, sizeOf, type TensorSpec } from '@mamba/core';
import { type Calls, supported, unsupported } from '@mamba/core/driver';
import type { Gpu } from './gpu/gpu.ts';
import { scanLimits, scanShape, stridesOf } from './operations/selective-scan.ts';
import { planScan } from './operations/selective-scan-plan.ts';

/** Arguments that may be matrices in a weight format, and may be split over several buffers. */
const WEIGHTS: Partial<Record<OperationName, string>> = { linear: 'weight', embedding: 'table' };

/** Whether a valid call runs on this device: dtypes, sizes that a shader can bind and address, and workgroups that exist. */
export function supportsCall<K extends OperationName>(gpu: Gpu, operation: K, call: Calls<TensorSpec>[K]): Support {
  for (const [name, value] of Object.entries(call) as [string, unknown][]) {
    for (const spec of Array.isArray(value) ? value : [value]) {
      if (!isSpec(spec)) continue;
      const reason = refuseTensor(gpu, spec, WEIGHTS[operation] === name);
      if (reason !== undefined) return unsupported(`${name} ${reason}`);
    }
  }
  const reason = refusals[operation]?.(gpu, call as never);
  return reason === undefined ? supported : unsupported(reason);
}

type Refusals = { [K in OperationName]?: (gpu: Gpu, call: Calls<TensorSpec>[K]) => string | undefined };

/** What is beyond this device although every input fits: results, and grids of workgroups. */
const refusals: Refusals = {
  selectiveScan: (gpu, call) => {
    const { batch, length, dim, state, groups, resets } = call;
    const shape = scanShape(
      { ...call, states: state, resets: resets !== undefined },
      stridesOf(call.constantB, groups, state),
      stridesOf(call.constantC, groups, state),
    );
    const plan = planScan(shape, scanLimits(gpu), gpu.options.scanVariant);
    if (typeof plan === 'string') return plan;
    return (
      tooManyGroups(gpu, 'batch', batch) ??
      tooLarge(gpu, 'A, D, deltaBias and resets together', dim * (state + 2) + (resets ? batch * length : 0)) ??
      tooLarge(gpu, 'the state', batch * dim * state) ??
      (plan.chunks > 1
        ? tooLarge(gpu, 'the states of all chunks', batch * plan.chunks * dim * (state + 2))
        : undefined) ??
      tooManyGroups(gpu, 'channels', groups * Math.ceil(dim / groups / plan.channels))
    );
  },
  causalConv1d: (gpu, { batch, dim, width }) =>
    (width > MAX_WIDTH ? `a width of ${width} is more than the ${MAX_WIDTH} that it keeps in registers` : undefined) ??
    tooManyGroups(gpu, 'batch', batch) ??
    tooManyGroups(gpu, 'dim', Math.ceil(dim / 64)),
  linear: (gpu, { rows, outputs }) =>
    tooLarge(gpu, 'the result', rows * outputs) ?? tooManyGroups(gpu, 'rows', Math.ceil(rows / 64)),
  embedding: (gpu, { count, channels }) => tooLarge(gpu, 'the result', count * channels),
  concat: (gpu, { extents, outer, inner }) =>
    tooLarge(gpu, 'the result', outer * inner * extents.reduce((sum, extent) => sum + extent, 0)),
  // Counts of logits are formed in float32.
  sample: (_, { vocab }) => (vocab > 2 ** 24 ? `a vocabulary of ${vocab} is more than 2^24` : undefined),
};

/** Taps of a convolution that a lane keeps in registers. */
const MAX_WIDTH = 64;

function refuseTensor(gpu: Gpu, spec: TensorSpec, weight: boolean): string | undefined {
  const { dtype, shape } = spec;
  if (dtype === 'float64' || dtype === 'q4') return `is ${dtype}, which this backend does not store`;
  if (dtype !== 'float32' && dtype !== 'int32' && !weight)
    return `is ${dtype}: activations and vectors are float32 here, and only weights may be smaller`;
  // Weights fit where their upload was agreed to: they are split by rows.
  if (weight) return undefined;
  const bytes = 4 * sizeOf(shape);
  if (bytes > gpu.maxBinding)
    return `takes ${bytes} bytes, more than the ${gpu.maxBinding} that a shader may bind here; take a smaller chunk or batch`;
  return undefined;
}

function tooLarge(gpu: Gpu, what: string, elements: number): string | undefined {
  if (4 * elements <= gpu.maxBinding) return undefined;
  return `${what} would take ${4 * elements} bytes, more than the ${gpu.maxBinding} that a shader may bind here`;
}

function tooManyGroups(gpu: Gpu, what: string, count: number): string | undefined {
  const limit = gpu.device.limits.maxComputeWorkgroupsPerDimension;
  return count <= limit ? undefined : `${what} would take ${count} workgroups in one dimension, more than ${limit}`;
}

function isSpec(value: unknown): value is TensorSpec {
  return typeof value === 'object' && value !== null && 'shape' in value && 'dtype' in value;
}
