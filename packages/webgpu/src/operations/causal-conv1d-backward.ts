import type { CausalConv1dGradients, TensorSpec } from '@mamba/core';
import type { CausalConv1dBackwardCall, DeviceTensor } from '@mamba/core/driver';
import { causalConv1dBackward as shader } from '../generated/index.ts';
import { type Gpu, wholeRange } from '../gpu/gpu.ts';
import { bindingRefusal } from '../gpu/limits.ts';
import { rangeOf, type Storage, unsplitStorage } from '../storage.ts';
import { convolutionRefusal } from './causal-conv1d.ts';
import { sumColumns } from './column-sum.ts';
import { pack } from './pack.ts';

/** Inputs that a lane owns: fewer where there are few elements, so that lanes fill the device. */
const LONGEST_SPAN = 64;
const SHORTEST_SPAN = 16;
const FILLING = 2 ** 18;

/** Gradients of a causal convolution: one dispatch over spans of inputs, and the sums over spans and rows. */
export function causalConv1dBackward(
  gpu: Gpu,
  call: CausalConv1dBackwardCall<DeviceTensor<Storage>>,
): CausalConv1dGradients<Storage> {
  const { x, weight, bias, initialState, resets, activation, dy, dLastState, batch, length, dim, width } = call;
  const { span, spans, at, size } = workspaceOf(call);
  const states = batch * dim * (width - 1);
  return gpu.allocating((allocator) => {
    const dx = allocator.result(4 * batch * length * dim, 'causal-conv1d-backward x');
    const dweight = allocator.result(4 * dim * width, 'causal-conv1d-backward weight');
    const dbias = bias && allocator.result(4 * dim, 'causal-conv1d-backward bias');
    const dInitial = initialState && allocator.result(4 * states, 'causal-conv1d-backward initial state');
    const workspace = wholeRange(allocator.scratch(4 * size, 'causal-conv1d-backward workspace'));
    pack(gpu, workspace, [
      { source: weight, at: at.weight, count: dim * width },
      { source: bias, at: at.bias, count: dim },
      { source: initialState, at: at.initial, count: states },
      { source: dLastState, at: at.last, count: states },
      { source: resets, at: at.marks, count: batch * length },
    ]);
    gpu.dispatch(shader, {
      constants: { TAPS: width },
      overrides: {
        SILU: activation === 'silu',
        BIAS: bias !== undefined,
        INITIAL: initialState !== undefined,
        LAST: dLastState !== undefined,
        RESETS: resets !== undefined,
      },
      bindings: { x: rangeOf(x), dy: rangeOf(dy), workspace, dx: wholeRange(dx) },
      uniforms: {
        batch,
        length,
        dim,
        span,
        spans,
        atWeight: at.weight,
        atBias: at.bias,
        atInitial: at.initial,
        atLast: at.last,
        atMarks: at.marks,
        atTaps: at.taps,
        atOffsets: at.offsets,
        atFirst: at.first,
      },
      workgroups: [Math.ceil(dim / 64), Math.min(spans, gpu.limits.maxComputeWorkgroupsPerDimension), batch],
    });
    const rows = batch * spans;
    sumColumns(gpu, { x: workspace, begin: at.taps, rows, columns: dim * width }, wholeRange(dweight));
    if (dbias) sumColumns(gpu, { x: workspace, begin: at.offsets, rows, columns: dim }, wholeRange(dbias));
    if (dInitial) gpu.recorder.copy(workspace.buffer, 4 * at.first, dInitial.buffer, 0, 4 * states);
    return {
      x: unsplitStorage(dx),
      weight: unsplitStorage(dweight),
      ...(dbias && { bias: unsplitStorage(dbias) }),
      ...(dInitial && { initialState: unsplitStorage(dInitial) }),
    };
  });
}

/** The reason why the gradients cannot be computed on this device, although the tensors fit. */
export function convolutionBackwardRefusal(gpu: Gpu, call: CausalConv1dBackwardCall<TensorSpec>): string | undefined {
  return (
    convolutionRefusal(gpu, call) ?? bindingRefusal(gpu, 'the operands and sums of all spans', workspaceOf(call).size)
  );
}

/** Places in the workspace, in floats, and its size. */
function workspaceOf(call: CausalConv1dBackwardCall<unknown>) {
  const { bias, initialState, resets, dLastState, batch, length, dim, width } = call;
  const span = Math.max(SHORTEST_SPAN, Math.min(LONGEST_SPAN, Math.floor((batch * length * dim) / FILLING)));
  const spans = Math.ceil(length / span);
  const states = batch * dim * (width - 1);
  let size = 0;
  const take = (count: number): number => {
    const place = size;
    size += count;
    return place;
  };
  const at = {
    weight: take(dim * width),
    bias: take(bias ? dim : 0),
    initial: take(initialState ? states : 0),
    last: take(dLastState ? states : 0),
    marks: take(resets ? batch * length : 0),
    taps: take(batch * spans * dim * width),
    offsets: take(batch * spans * dim),
    first: take(initialState ? states : 0),
  };
  return { span, spans, at, size };
}
