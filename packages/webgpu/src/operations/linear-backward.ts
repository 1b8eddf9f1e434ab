import type { LinearGradients, TensorSpec } from '@mamba/core';
import type { DeviceTensor, LinearBackwardCall } from '@mamba/core/driver';
import { type Allocator, type Gpu, wholeRange } from '../gpu/gpu.ts';
import { bindingRefusal, workgroupsRefusal } from '../gpu/limits.ts';
import type { BufferRange } from '../gpu/shader.ts';
import { FORMATS, rangeOf, type Storage, unsplitStorage } from '../storage.ts';
import { sumColumns } from './column-sum.ts';
import type { KernelContext } from './kernel-context.ts';
import { multiplyTiles } from './linear.ts';
import { turnsWeight } from './linear-plan.ts';
import { largestMagnitude } from './magnitude.ts';
import { turn } from './turn.ts';

/**
 * Gradients of a product: two more products, by the same tiles with operands that lie turned. Their sums over rows, or
 * outputs, are cut into parts where there are few tiles, and the parts are added up in a fixed order. On matrix units,
 * dy is scaled by a power of two on its way into halves, as its largest element asks for.
 */
export function linearBackward(
  kernels: KernelContext,
  { x, weight, dy, rows, inputs, outputs, wanted }: LinearBackwardCall<DeviceTensor<Storage>>,
): LinearGradients<Storage> {
  const { gpu } = kernels;
  return gpu.allocating((allocator) => {
    const gradient = (name: (typeof wanted)[number], size: number) =>
      wanted.includes(name) ? allocator.result(4 * size, `linear-backward ${name}`) : undefined;
    const dx = gradient('x', rows * inputs);
    const dweight = gradient('weight', outputs * inputs);
    const dbias = gradient('bias', outputs);
    const sizes = { rows, inputs, outputs };
    const largest =
      kernels.matrixUnits && (dx || dweight) && largestMagnitude(gpu, allocator, rangeOf(dy), rows * outputs);
    const cotangents = { dy: rangeOf(dy), largest };
    if (dx) differentiateInput(kernels, allocator, weight.storage, cotangents, wholeRange(dx), sizes);
    if (dweight) differentiateWeight(kernels, rangeOf(x), cotangents, wholeRange(dweight), sizes);
    if (dbias) sumColumns(gpu, { x: rangeOf(dy), rows, columns: outputs }, wholeRange(dbias));
    return {
      ...(dx && { x: unsplitStorage(dx) }),
      ...(dweight && { weight: unsplitStorage(dweight) }),
      ...(dbias && { bias: unsplitStorage(dbias) }),
    };
  });
}

interface Cotangents {
  readonly dy: BufferRange;
  /** Their largest magnitude, for matrix units. */
  readonly largest: BufferRange | undefined;
}

interface LinearSizes {
  readonly rows: number;
  readonly inputs: number;
  readonly outputs: number;
}

/** dx = dy weight: a sum over the outputs, which goes on from part to part of a split matrix. */
function differentiateInput(
  kernels: KernelContext,
  allocator: Allocator,
  weight: Storage,
  { dy, largest }: Cotangents,
  dx: BufferRange,
  { rows, inputs, outputs }: LinearSizes,
): void {
  const { unusedInput } = kernels.gpu;
  for (const { firstRow, rows: most, values, scales = unusedInput } of weight.parts) {
    const depth = Math.min(most, outputs - firstRow);
    const whole = inFours(inputs, outputs, firstRow);
    const copied =
      weight.format === 'float32' && whole && inFours(depth) && turnsWeight(kernels, { rows, depth, outputs: inputs });
    multiplyTiles(
      kernels,
      {
        FORMAT: FORMATS[weight.format as keyof typeof FORMATS],
        ALIGNED: whole,
        BIAS: false,
        ACCUMULATE: firstRow > 0,
        WEIGHT_TURNED: !copied,
      },
      {
        x: dy,
        weight: copied ? turn(kernels.gpu, allocator, values, depth, inputs) : values,
        scales,
        bias: unusedInput,
        y: dx,
        largest,
      },
      {
        rows,
        depth,
        outputs: inputs,
        inputs: copied ? depth : inputs,
        xRow: outputs,
        xOffset: firstRow,
        yRow: inputs,
        yOffset: 0,
      },
    );
  }
}

/** dweight = dyᵀ x: a sum over the rows. */
function differentiateWeight(
  kernels: KernelContext,
  x: BufferRange,
  { dy, largest }: Cotangents,
  dweight: BufferRange,
  { rows, inputs, outputs }: LinearSizes,
): void {
  const { unusedInput } = kernels.gpu;
  multiplyTiles(
    kernels,
    {
      FORMAT: FORMATS.float32,
      ALIGNED: inFours(inputs, outputs),
      BIAS: false,
      ACCUMULATE: false,
      X_TURNED: true,
      WEIGHT_TURNED: true,
    },
    { x: dy, weight: x, scales: unusedInput, bias: unusedInput, y: dweight, largest },
    { rows: outputs, depth: rows, outputs: inputs, inputs, xRow: outputs, xOffset: 0, yRow: inputs, yOffset: 0 },
  );
}

/** The reason why the gradients cannot be computed on this device, although the tensors fit. */
export function linearBackwardRefusal(
  gpu: Gpu,
  { rows, inputs, outputs, wanted }: LinearBackwardCall<TensorSpec>,
): string | undefined {
  return (
    bindingRefusal(gpu, 'the gradient of x', wanted.includes('x') ? rows * inputs : 0) ??
    bindingRefusal(gpu, 'the gradient of weight', wanted.includes('weight') ? outputs * inputs : 0) ??
    workgroupsRefusal(gpu, 'rows', Math.ceil(rows / 64)) ??
    workgroupsRefusal(gpu, 'outputs', Math.ceil(outputs / 64))
  );
}

function inFours(...extents: readonly number[]): boolean {
  return extents.every((extent) => extent % 4 === 0);
}
