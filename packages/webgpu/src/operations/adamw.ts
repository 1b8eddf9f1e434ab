import type { AdamwCall, DeviceTensor } from '@mamba/core/driver';
import { adamw as shader } from '../generated/index.ts';
import { type Gpu, wholeRange } from '../gpu/gpu.ts';
import type { BufferRange } from '../gpu/shader.ts';
import { USAGE } from '../gpu/usage.ts';
import { rangeOf, type Storage } from '../storage.ts';

/** Updates a parameter and its moments in place, by one dispatch. */
export function adamw(gpu: Gpu, rates: Rates, call: AdamwCall<DeviceTensor<Storage>>): void {
  const { parameter, gradient, first, second, norm, maxNorm, beta1, beta2, size } = call;
  const quads = Math.ceil(size / 4);
  const limited = Number.isFinite(maxNorm);
  gpu.dispatch(shader, {
    overrides: { NORM: norm !== undefined, LIMIT: limited },
    bindings: {
      gradient: rangeOf(gradient),
      norm: norm ? rangeOf(norm) : gpu.unusedInput,
      parameter: rangeOf(parameter),
      first: rangeOf(first),
      second: rangeOf(second),
      rates: 'storage' in call.rates ? rangeOf(call.rates) : rates.of(call.rates),
    },
    uniforms: {
      quads,
      beta1,
      rest1: 1 - beta1,
      beta2,
      rest2: 1 - beta2,
      eps: call.eps,
      weightDecay: call.weightDecay,
      maxNorm: limited ? maxNorm : 0,
    },
    workgroups: gpu.grid(Math.ceil(quads / 256)),
  });
}

/** The rates of updates that are given as numbers, in one small buffer. */
export class Rates {
  readonly #gpu: Gpu;
  readonly #values = new Float32Array(4);
  #buffer: GPUBuffer | undefined;

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
  }

  /** The buffer with these values, which holds them until others are asked for; in a capture, a constant of it. */
  of(values: readonly [number, number, number]): BufferRange {
    const { device, recorder } = this.#gpu;
    const size = this.#values.byteLength;
    if (this.#gpu.capturing)
      return this.#gpu.allocating((allocator) => {
        const constant = allocator.constant(size, 'rates');
        recorder.write(constant.buffer, 0, new Uint8Array(Float32Array.of(...values, 0).buffer));
        return wholeRange(constant);
      });
    const known = this.#buffer && values.every((value, index) => Math.fround(value) === this.#values[index]);
    this.#buffer ??= device.createBuffer({ label: 'rates', size, usage: USAGE.STORAGE | USAGE.COPY_DST });
    if (!known) {
      this.#values.set(values);
      recorder.write(this.#buffer, 0, new Uint8Array(this.#values.slice().buffer));
    }
    return { buffer: this.#buffer, offset: 0, size };
  }

  dispose(): void {
    this.#buffer?.destroy();
  }
}
