import type { DeviceTensor, RopeBackwardCall, RopeCall } from '@mamba/core/driver';
import { rope as shader } from '../generated/index.ts';
import { type Allocator, type Gpu, wholeRange } from '../gpu/gpu.ts';
import type { BufferRange } from '../gpu/shader.ts';
import { USAGE } from '../gpu/usage.ts';
import { rangeOf, type Storage, unsplitStorage } from '../storage.ts';

export function rope(gpu: Gpu, turns: Turns, { x, ...call }: RopeCall<DeviceTensor<Storage>>): Storage {
  return turn(gpu, turns, call, x, 1);
}

export function ropeBackward(
  gpu: Gpu,
  turns: Turns,
  { dy, ...call }: RopeBackwardCall<DeviceTensor<Storage>>,
): Storage {
  return turn(gpu, turns, call, dy, -1);
}

function turn(
  gpu: Gpu,
  turns: Turns,
  call: Omit<RopeCall<DeviceTensor<Storage>>, 'x'>,
  x: DeviceTensor<Storage>,
  sign: 1 | -1,
): Storage {
  const { positions, offset, frequencies, interleaved, batch, length, heads, headDim } = call;
  return gpu.allocating((allocator) => {
    const tokens = batch * length;
    const pairs = frequencies.length;
    const lanes = headDim - pairs;
    const y = allocator.result(4 * tokens * heads * headDim, 'rope');
    gpu.dispatch(shader, {
      overrides: { PLACED: positions !== undefined },
      bindings: {
        x: rangeOf(x),
        positions: positions ? rangeOf(positions) : gpu.unusedInput,
        turns: turns.of(allocator, frequencies),
        y: wholeRange(y),
      },
      uniforms: { tokens, length, heads, headDim, pairs, lanes, interleaved: +interleaved, offset, sign },
      workgroups: gpu.grid(Math.ceil((tokens * heads * lanes) / 64)),
    });
    return unsplitStorage(y);
  });
}

/** Most lists of frequencies that are kept; a model has one or two. */
const MOST_KEPT = 16;

/** Frequencies as rope.wgsl takes them, in small buffers that are written once. */
export class Turns {
  readonly #gpu: Gpu;
  readonly #kept: { readonly frequencies: readonly number[]; readonly buffer: GPUBuffer }[] = [];

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
  }

  /** The buffer of these frequencies. Beyond the most that are kept, it is the allocator's. */
  of(allocator: Allocator, frequencies: readonly number[]): BufferRange {
    const size = 8 * frequencies.length;
    const known = this.#kept.find(
      (entry) =>
        entry.frequencies.length === frequencies.length &&
        entry.frequencies.every((value, index) => value === frequencies[index]),
    );
    if (known !== undefined) return { buffer: known.buffer, offset: 0, size };
    const { device, recorder } = this.#gpu;
    const kept = this.#kept.length < MOST_KEPT;
    const buffer = kept
      ? device.createBuffer({ label: 'turns', size, usage: USAGE.STORAGE | USAGE.COPY_DST })
      : allocator.scratch(size, 'turns').buffer;
    if (kept) this.#kept.push({ frequencies: [...frequencies], buffer });
    recorder.write(buffer, 0, new Uint8Array(turnsOf(frequencies).buffer));
    return { buffer, offset: 0, size };
  }

  dispose(): void {
    for (const { buffer } of this.#kept) buffer.destroy();
  }
}

/** Frequencies in parts of 2^64 of a turn, as two words each, the high one first. */
function turnsOf(frequencies: readonly number[]): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array(2 * frequencies.length);
  for (const [pair, frequency] of frequencies.entries()) {
    const scaled = (frequency / (2 * Math.PI)) * 2 ** 32;
    const high = Math.floor(scaled);
    words[2 * pair] = high % 2 ** 32;
    words[2 * pair + 1] = Math.floor((scaled - high) * 2 ** 32);
  }
  return words;
}
