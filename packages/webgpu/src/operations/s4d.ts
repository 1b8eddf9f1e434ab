import type { ScanResult, TensorSpec } from '@mamba/core';
import type { DeviceTensor, S4dCall } from '@mamba/core/driver';
import {
  s4dCarry as carryShader,
  s4dChunks as chunksShader,
  s4d as outputShader,
  s4dSystem as systemShader,
} from '../generated/index.ts';
import { type Allocator, type Gpu, wholeRange } from '../gpu/gpu.ts';
import { bindingRefusal, workgroupsRefusal } from '../gpu/limits.ts';
import type { BufferRange } from '../gpu/shader.ts';
import { rangeOf, type Storage, unsplitStorage } from '../storage.ts';

/** Vectors of a quad of states in a discretised system: PLANES of the shaders. */
const PLANES = 10;
/** Lanes that fill a device; with more of them, chunks are longer. */
const FILLING = 2 ** 16;
/** Steps of a tile, the shortest chunk. */
const TILE = 32;
const LONGEST_CHUNK = 1024;
/** Lanes of a workgroup, which has so many channels. */
const LANES = 64;

export function s4d(gpu: Gpu, call: S4dCall<DeviceTensor<Storage>>, layout = s4dLayout(call)): ScanResult<Storage> {
  const { u, initialState, batch, length, dim, state, complex } = call;
  return gpu.allocating((allocator) => {
    const y = allocator.result(4 * batch * length * dim, 's4d y');
    const last = allocator.result(4 * batch * (complex ? 2 : 1) * dim * state, 's4d last state');
    const system = discretise(gpu, allocator, call, layout);
    scan(gpu, allocator, call, layout, system, {
      x: rangeOf(u),
      initial: initialState && rangeOf(initialState),
      y: wholeRange(y),
      last: wholeRange(last),
      reversed: false,
    });
    return { y: unsplitStorage(y), lastState: unsplitStorage(last) };
  });
}

/** How a scan lies over the device. */
export interface S4dLayout {
  /** Vectors of four states of a channel. */
  readonly quads: number;
  /** Steps of a chunk, a power of two; the last chunk may have fewer. */
  readonly chunk: number;
  readonly chunks: number;
}

/** Chunks as short as it takes to fill a device, so that few states have to be handed on. */
export function s4dLayout({ batch, length, dim, state }: S4dCall<unknown>, filling = FILLING): S4dLayout {
  const wanted = 2 ** Math.floor(Math.log2(Math.max(1, (batch * length * dim) / filling)));
  const chunk = Math.max(TILE, Math.min(LONGEST_CHUNK, wanted));
  return { quads: Math.ceil(state / 4), chunk, chunks: Math.ceil(length / chunk) };
}

type Call = S4dCall<DeviceTensor<Storage>>;

/** The discretised system, `[quads, PLANES, dim]` vectors. */
export function discretise(
  gpu: Gpu,
  allocator: Allocator,
  { dt, A, B, C, complex, discretization, dim, state }: Call,
  { quads, chunk }: S4dLayout,
): BufferRange {
  const system = wholeRange(allocator.scratch(16 * quads * PLANES * dim, 's4d system'));
  gpu.dispatch(systemShader, {
    overrides: { COMPLEX: complex, GIVEN: B !== undefined, BILINEAR: discretization === 'bilinear' },
    bindings: { dt: rangeOf(dt), A: rangeOf(A), B: B ? rangeOf(B) : gpu.unusedInput, C: rangeOf(C), system },
    uniforms: { dim, state, quads, chunk },
    workgroups: gpu.grid(Math.ceil((4 * quads * dim) / LANES)),
  });
  return system;
}

/** What a scan reads and writes: the forward one, or the adjoint from the last step to the first. */
export interface S4dScan {
  /** u, or dy. */
  readonly x: BufferRange;
  /** The initial state, or the cotangent of the last one. */
  readonly initial: BufferRange | undefined;
  /** y, or du. */
  readonly y: BufferRange;
  /** The last state, or the gradient of the initial one, where it is wanted. */
  readonly last: BufferRange | undefined;
  readonly reversed: boolean;
}

/** Three passes over chunks: each by itself, the states that each begins with, and the outputs. */
export function scan(
  gpu: Gpu,
  allocator: Allocator,
  call: Call,
  layout: S4dLayout,
  system: BufferRange,
  { x, initial, y, last, reversed }: S4dScan,
): void {
  const { D, resets, complex, batch, length, dim, state } = call;
  const states = chunkStates(gpu, allocator, call, layout, system, { x, initial, reversed, slopes: false });
  gpu.dispatch(outputShader, {
    overrides: {
      COMPLEX: complex,
      SKIP: D !== undefined,
      LAST: last !== undefined,
      REVERSED: reversed,
      RESETS: resets !== undefined,
    },
    bindings: {
      x,
      system,
      D: D ? rangeOf(D) : gpu.unusedInput,
      resets: resets ? rangeOf(resets) : gpu.unusedInput,
      states,
      y,
      last: last ?? gpu.unusedOutput,
    },
    uniforms: { length, dim, state, ...layout },
    workgroups: [Math.ceil(dim / LANES), layout.chunks, batch],
  });
}

/** The states that each chunk begins with, and with `slopes` their derivatives by the system. */
export function chunkStates(
  gpu: Gpu,
  allocator: Allocator,
  { resets, complex, batch, length, dim, state }: Call,
  layout: S4dLayout,
  system: BufferRange,
  { x, initial, reversed, slopes }: Pick<S4dScan, 'x' | 'initial' | 'reversed'> & { readonly slopes: boolean },
): BufferRange {
  const { quads, chunk, chunks } = layout;
  const states = wholeRange(allocator.scratch(4 * sizeOfStates(layout, batch, dim, slopes), 's4d states'));
  const marks = resets ? rangeOf(resets) : gpu.unusedInput;
  const overrides = { REVERSED: reversed, RESETS: resets !== undefined, SLOPES: slopes };
  if (chunks > 1)
    gpu.dispatch(chunksShader, {
      overrides,
      bindings: { x, system, resets: marks, states },
      uniforms: { length, dim, quads, chunk, chunks },
      workgroups: [Math.ceil(dim / LANES), chunks - 1, batch],
    });
  gpu.dispatch(carryShader, {
    overrides: { ...overrides, COMPLEX: complex, INITIAL: initial !== undefined },
    bindings: { system, initial: initial ?? gpu.unusedInput, resets: marks, states },
    uniforms: { length, dim, state, ...layout },
    workgroups: [Math.ceil(dim / LANES), quads, batch],
  });
  return states;
}

/** Floats of the states that all chunks begin with. */
function sizeOfStates({ quads, chunks }: S4dLayout, batch: number, dim: number, slopes: boolean): number {
  return 8 * batch * chunks * (slopes ? 3 : 1) * quads * dim;
}

/** The reason why a scan cannot run on this device, although the tensors fit. */
export function s4dRefusal(gpu: Gpu, call: S4dCall<TensorSpec>, slopes = false): string | undefined {
  const { batch, dim } = call;
  const layout = s4dLayout(call);
  return (
    bindingRefusal(gpu, 'the states of all chunks', sizeOfStates(layout, batch, dim, slopes)) ??
    bindingRefusal(gpu, 'the discretised system', 4 * layout.quads * PLANES * dim) ??
    workgroupsRefusal(gpu, 'the chunks', layout.chunks) ??
    workgroupsRefusal(gpu, 'the states', layout.quads) ??
    workgroupsRefusal(gpu, 'the rows', batch)
  );
}
