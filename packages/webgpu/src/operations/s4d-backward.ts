import type { S4dGradients, TensorSpec } from '@mamba/core';
import type { DeviceTensor, S4dBackwardCall } from '@mamba/core/driver';
import { s4dSums as sumsShader, s4dSystemBackward as systemShader } from '../generated/index.ts';
import { type Gpu, wholeRange } from '../gpu/gpu.ts';
import { bindingRefusal } from '../gpu/limits.ts';
import { rangeOf, type Storage, unsplitStorage } from '../storage.ts';
import { sumColumns } from './column-sum.ts';
import { chunkStates, discretise, s4dLayout, s4dRefusal, scan } from './s4d.ts';

/**
 * Gradients of S4D: that of u by the adjoint, which is the same scan backwards, and those of the system by the
 * derivatives of the states, which run forward. Nothing of the length is kept but what chunks begin with.
 */
export function s4dBackward(
  gpu: Gpu,
  call: S4dBackwardCall<DeviceTensor<Storage>>,
  layout = s4dLayout(call),
): S4dGradients<Storage> {
  const { u, dt, A, B, D, initialState, resets, dy, dLastState, discretization, complex } = call;
  const { batch, length, dim, state } = call;
  return gpu.allocating((allocator) => {
    const parameters = (complex ? 2 : 1) * dim * state;
    const du = allocator.result(4 * batch * length * dim, 's4d-backward u');
    const ddt = allocator.result(4 * dim, 's4d-backward dt');
    const dA = allocator.result(4 * parameters, 's4d-backward A');
    const dC = allocator.result(4 * parameters, 's4d-backward C');
    const dB = B && allocator.result(4 * parameters, 's4d-backward B');
    const dD = D && allocator.result(4 * dim, 's4d-backward D');
    const dInitial = initialState && allocator.result(4 * batch * parameters, 's4d-backward initial state');
    const system = discretise(gpu, allocator, call, layout);
    scan(gpu, allocator, call, layout, system, {
      x: rangeOf(dy),
      initial: dLastState && rangeOf(dLastState),
      y: wholeRange(du),
      last: dInitial && wholeRange(dInitial),
      reversed: true,
    });

    const states = chunkStates(gpu, allocator, call, layout, system, {
      x: rangeOf(u),
      initial: initialState && rangeOf(initialState),
      reversed: false,
      slopes: true,
    });
    const { quads, chunks } = layout;
    const columns = sumsOfChunk(quads, dim);
    const sums = wholeRange(allocator.scratch(4 * batch * chunks * columns, 's4d-backward sums'));
    gpu.dispatch(sumsShader, {
      overrides: { COMPLEX: complex, LAST: dLastState !== undefined, RESETS: resets !== undefined },
      bindings: {
        u: rangeOf(u),
        dy: rangeOf(dy),
        system,
        dLastState: dLastState ? rangeOf(dLastState) : gpu.unusedInput,
        resets: resets ? rangeOf(resets) : gpu.unusedInput,
        states,
        sums,
      },
      uniforms: { length, dim, state, ...layout },
      workgroups: [Math.ceil(dim / 64), chunks, batch],
    });
    const total = wholeRange(allocator.scratch(4 * columns, 's4d-backward total'));
    sumColumns(gpu, { x: sums, rows: batch * chunks, columns }, total);
    gpu.dispatch(systemShader, {
      overrides: { COMPLEX: complex, GIVEN: B !== undefined, BILINEAR: discretization === 'bilinear' },
      bindings: {
        dt: rangeOf(dt),
        A: rangeOf(A),
        B: B ? rangeOf(B) : gpu.unusedInput,
        sums: total,
        ddt: wholeRange(ddt),
        dA: wholeRange(dA),
        dB: dB ? wholeRange(dB) : gpu.unusedOutput,
        dC: wholeRange(dC),
      },
      uniforms: { dim, state, quads },
      workgroups: [Math.ceil(dim / 64)],
    });
    if (dD) gpu.recorder.copy(total.buffer, total.offset + 4 * (columns - dim), dD.buffer, 0, 4 * dim);
    return {
      u: unsplitStorage(du),
      dt: unsplitStorage(ddt),
      A: unsplitStorage(dA),
      C: unsplitStorage(dC),
      ...(dB && { B: unsplitStorage(dB) }),
      ...(dD && { D: unsplitStorage(dD) }),
      ...(dInitial && { initialState: unsplitStorage(dInitial) }),
    };
  });
}

/** Floats of the sums of one chunk. */
function sumsOfChunk(quads: number, dim: number): number {
  return (24 * quads + 1) * dim;
}

/** The reason why the gradients cannot be computed on this device, although the tensors fit. */
export function s4dBackwardRefusal(gpu: Gpu, call: S4dBackwardCall<TensorSpec>): string | undefined {
  const { quads, chunks } = s4dLayout(call);
  return (
    s4dRefusal(gpu, call, true) ??
    bindingRefusal(gpu, 'the sums of all chunks', call.batch * chunks * sumsOfChunk(quads, call.dim))
  );
}
