import type { AdamwCall, DeviceTensor } from '@mamba/core/driver';
import { adamw as shader } from '../generated/index.ts';
import type { Gpu } from '../gpu/gpu.ts';
import { rangeOf, type Storage } from '../storage.ts';

/** Updates a parameter and its moments in place, by one dispatch. */
export function adamw(gpu: Gpu, call: AdamwCall<DeviceTensor<Storage>>): void {
  const { parameter, gradient, first, second, norm, maxNorm, beta1, beta2, learningRate, step, size } = call;
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
    },
    uniforms: {
      quads,
      beta1,
      rest1: 1 - beta1,
      beta2,
      rest2: 1 - beta2,
      firstFactor: learningRate / (1 - beta1 ** step),
      secondFactor: 1 / (1 - beta2 ** step),
      eps: call.eps,
      kept: 1 - learningRate * call.weightDecay,
      maxNorm: limited ? maxNorm : 0,
    },
    workgroups: gpu.grid(Math.ceil(quads / 256)),
  });
}
