import type { CausalConv1dCall, DeviceTensor } from '@mamba/core/driver';
import { causalConv1d as shader } from '../generated/index.ts';
import { type Gpu, wholeRange } from '../gpu/gpu.ts';
import { workgroupsRefusal } from '../gpu/limits.ts';
import type { BufferRange } from '../gpu/shader.ts';
import { rangeOf, type Storage, unsplitStorage } from '../storage.ts';
import type { Stored } from './stored.ts';

/** Steps that a lane computes: OUTPUTS of the shader. */
const OUTPUTS = 8;
/** Channels of a lane: those of a word. */
const CHANNELS = { floats: 1, halves: 2 } as const;
/** Most taps that a lane keeps in registers. */
const MAX_WIDTH = 64;

export function causalConv1d(
  gpu: Gpu,
  call: CausalConv1dCall<DeviceTensor<Storage>>,
): { y: Storage; lastState: Storage } {
  const { x, weight, bias, initialState, resets, activation, batch, length, dim, width } = call;
  return gpu.allocating((allocator) => {
    const y = allocator.result(4 * batch * length * dim, 'causal-conv1d y');
    const last = allocator.result(4 * batch * dim * (width - 1), 'causal-conv1d state');
    convolve(gpu, {
      x: rangeOf(x),
      xRow: dim,
      xOffset: 0,
      weight: rangeOf(weight),
      bias: bias && rangeOf(bias),
      initial: initialState && rangeOf(initialState),
      resets: resets && rangeOf(resets),
      y: wholeRange(y),
      last: wholeRange(last),
      silu: activation === 'silu',
      batch,
      length,
      dim,
      width,
    });
    return { y: unsplitStorage(y), lastState: unsplitStorage(last) };
  });
}

export interface Convolution {
  readonly x: BufferRange;
  readonly xRow: number;
  readonly xOffset: number;
  readonly weight: BufferRange;
  readonly bias: BufferRange | undefined;
  readonly initial: BufferRange | undefined;
  readonly resets: BufferRange | undefined;
  readonly y: BufferRange;
  readonly last: BufferRange;
  readonly silu: boolean;
  readonly batch: number;
  readonly length: number;
  readonly dim: number;
  readonly width: number;
  /** How x and y are stored; floats by default. In halves, rows of both are of even length. */
  readonly stored?: Stored | undefined;
}

export function convolve(gpu: Gpu, call: Convolution): void {
  const { bias, initial, resets, batch, length, dim, width, xRow, xOffset, stored = 'floats' } = call;
  gpu.dispatch(shader, {
    link: stored,
    constants: { TAPS: width, WINDOW: OUTPUTS + width - 1 },
    overrides: {
      SILU: call.silu,
      BIAS: bias !== undefined,
      INITIAL: initial !== undefined,
      RESETS: resets !== undefined,
    },
    bindings: {
      x: call.x,
      weight: call.weight,
      bias: bias ?? gpu.unusedInput,
      initial: initial ?? gpu.unusedInput,
      resets: resets ?? gpu.unusedInput,
      y: call.y,
      last: call.last,
    },
    uniforms: { batch, length, dim, xRow, xOffset },
    workgroups: [
      Math.ceil(dim / (64 * CHANNELS[stored])),
      Math.min(Math.ceil(length / OUTPUTS), gpu.limits.maxComputeWorkgroupsPerDimension),
      batch,
    ],
  });
}

/** The reason why a convolution of these sizes cannot run on this device, although its tensors fit. */
export function convolutionRefusal(
  gpu: Gpu,
  { batch, dim, width }: Pick<Convolution, 'batch' | 'dim' | 'width'>,
): string | undefined {
  if (width > MAX_WIDTH) return `a width of ${width} is more than the ${MAX_WIDTH} that it keeps in registers`;
  return workgroupsRefusal(gpu, 'batch', batch) ?? workgroupsRefusal(gpu, 'dim', Math.ceil(dim / 64));
}
