import type { AttentionGradients, TensorSpec } from '@mamba/core';
import type { AttentionBackwardCall, DeviceTensor } from '@mamba/core/driver';
import { attentionRows, attentionBackward as shader } from '../generated/index.ts';
import { type Gpu, wholeRange } from '../gpu/gpu.ts';
import type { BufferRange } from '../gpu/shader.ts';
import { rangeOf, type Storage, unsplitStorage } from '../storage.ts';
import { attentionRefusal, maskOf, scoresOf } from './attention.ts';
import type { KernelContext } from './kernel-context.ts';

/** The gradients of attention: a walk over the keys for dq, and one over the rows for dk and dv. */
export function attentionBackward(
  gpu: Gpu,
  call: AttentionBackwardCall<DeviceTensor<Storage>>,
): AttentionGradients<Storage> {
  const { batch, queries, keys, heads, kvHeads, headDim, dLogSumExp } = call;
  return gpu.allocating((allocator) => {
    const total = batch * queries * heads;
    const dq = allocator.result(4 * total * headDim, 'attention-backward q');
    const dk = allocator.result(4 * batch * keys * kvHeads * headDim, 'attention-backward k');
    const dv = allocator.result(4 * batch * keys * kvHeads * headDim, 'attention-backward v');
    const rows = wholeRange(allocator.scratch(8 * total, 'attention-backward rows'));
    const mask = maskOf(gpu, allocator, call);
    const scores = scoresOf(call);
    const quads = Math.ceil(headDim / 4);
    const link = headDim % 4 === 0 ? 'quads' : 'singles';
    gpu.dispatch(attentionRows, {
      link,
      constants: { QUADS: quads },
      overrides: { COTANGENT: dLogSumExp !== undefined },
      bindings: {
        dy: rangeOf(call.dy),
        y: rangeOf(call.y),
        logSumExp: rangeOf(call.logSumExp),
        dLogSumExp: dLogSumExp ? rangeOf(dLogSumExp) : gpu.unusedInput,
        rows,
      },
      uniforms: { total, headDim },
      workgroups: gpu.grid(Math.ceil(total / 64)),
    });
    const walk = (OF_KEYS: boolean, places: number, first: BufferRange, second: BufferRange): void => {
      const { down, across, columns, stageMoving } = layoutOf(gpu, quads, OF_KEYS);
      gpu.dispatch(shader, {
        link,
        constants: {
          QUADS: quads,
          DOWN: down,
          ACROSS: across,
          COLUMNS: columns,
          WIDE: Math.ceil(quads / across),
          BROUGHT: Math.ceil((columns * quads) / down),
          TOGETHER: quads % 2 === 0 ? 2 : 1,
          PLACES_TOGETHER: 4,
        },
        overrides: {
          ...mask.overrides,
          ...scores.overrides,
          OF_KEYS,
          STAGE_MOVING: stageMoving,
        },
        bindings: {
          q: rangeOf(call.q),
          k: rangeOf(call.k),
          v: rangeOf(call.v),
          dy: rangeOf(call.dy),
          rows,
          bounds: mask.bounds,
          first,
          second,
        },
        uniforms: { ...mask.uniforms, ...scores.uniforms, headDim, scale: call.scale },
        workgroups: [Math.ceil(places / (4 * down)), kvHeads, batch],
      });
    };
    walk(false, (queries * heads) / kvHeads, wholeRange(dq), gpu.unusedOutput);
    walk(true, keys, wholeRange(dk), wholeRange(dv));
    return { q: unsplitStorage(dq), k: unsplitStorage(dk), v: unsplitStorage(dv) };
  });
}

/** The reason why the gradients cannot be computed on this device, although the tensors fit. */
export function attentionBackwardRefusal(
  kernels: KernelContext,
  call: AttentionBackwardCall<TensorSpec>,
): string | undefined {
  const count = Math.ceil(call.keys / SMALLEST_TILE);
  const limit = kernels.gpu.limits.maxComputeWorkgroupsPerDimension;
  if (count > limit) return `the keys would take ${count} workgroups in one dimension, more than ${limit}`;
  return attentionRefusal(kernels, call);
}

interface Layout {
  /** Lanes of a workgroup, down what stays and across what moves. A lane has four places of what stays. */
  readonly down: number;
  readonly across: number;
  /** Places of what moves of a lane. */
  readonly columns: 1 | 2 | 4;
  readonly stageMoving: boolean;
}

/** Layouts from the fastest on; the last one needs hardly any workgroup memory. */
const LAYOUTS: readonly Layout[] = [
  { down: 16, across: 8, columns: 4, stageMoving: true },
  { down: 16, across: 8, columns: 2, stageMoving: true },
  { down: 8, across: 16, columns: 2, stageMoving: true },
  { down: 8, across: 16, columns: 1, stageMoving: true },
  { down: 8, across: 16, columns: 1, stageMoving: false },
];
/** The fewest places of what stays in a workgroup. */
const SMALLEST_TILE = 32;
/** Quads of each of two gradients that stay in a lane's registers with ease. */
const EASY_SUMS = 8;

function layoutOf(gpu: Gpu, quads: number, ofKeys: boolean): Layout {
  const fits = ({ down, across, columns, stageMoving }: Layout): boolean => {
    const step = across * columns;
    const moving = stageMoving ? 2 * step * (quads + 1) : 1;
    const bytes = 16 * (moving + (ofKeys ? 2 : 1) * step * (down + 1));
    return bytes <= gpu.limits.maxComputeWorkgroupStorageSize && 4 * Math.ceil(quads / across) <= EASY_SUMS;
  };
  return LAYOUTS.find(fits) ?? LAYOUTS.at(-1)!;
}
