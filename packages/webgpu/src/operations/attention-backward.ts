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
      const { columns, stageStaying, stageMoving } = layoutOf(gpu, quads, OF_KEYS);
      gpu.dispatch(shader, {
        link,
        constants: { QUADS: quads, COLUMNS: columns, WIDE: Math.ceil(quads / 16) },
        overrides: {
          ...mask.overrides,
          ...scores.overrides,
          OF_KEYS,
          STAGE_STAYING: stageStaying,
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
        workgroups: [Math.ceil(places / TILE), kvHeads, batch],
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
  const count = Math.ceil(call.keys / TILE);
  const limit = kernels.gpu.limits.maxComputeWorkgroupsPerDimension;
  if (count > limit) return `the keys would take ${count} workgroups in one dimension, more than ${limit}`;
  return attentionRefusal(kernels, call);
}

/** Rows, or keys, of a workgroup: TILE of attention-backward.wgsl. */
const TILE = 32;

interface Layout {
  readonly columns: 1 | 2;
  readonly stageStaying: boolean;
  readonly stageMoving: boolean;
}

/** Layouts from the fastest on; the last one needs hardly any workgroup memory. */
const LAYOUTS: readonly Layout[] = [
  { columns: 2, stageStaying: true, stageMoving: true },
  { columns: 1, stageStaying: true, stageMoving: true },
  { columns: 1, stageStaying: false, stageMoving: true },
  { columns: 1, stageStaying: false, stageMoving: false },
];

function layoutOf(gpu: Gpu, quads: number, ofKeys: boolean): Layout {
  const bytes = ({ columns, stageStaying, stageMoving }: Layout): number => {
    const step = 16 * columns;
    const staying = stageStaying ? 2 * TILE * quads : 1;
    const moving = stageMoving ? 2 * step * (quads + 1) : 1;
    return 16 * (staying + moving + (ofKeys ? 16 : 8) * step);
  };
  return LAYOUTS.find((layout) => bytes(layout) <= gpu.limits.maxComputeWorkgroupStorageSize)!;
}
