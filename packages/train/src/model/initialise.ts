import { type HostTensor, type ModelConfigLike, type ParameterSource, type ParameterSpec, sizeOf } from '@mamba/core';
import { resolveModelConfig } from '@mamba/core/driver';
import { Random } from '../random.ts';

/**
 * The parameters of a new model, as its blocks declare them: Mamba's own initialisation for Mamba blocks (arXiv
 * 2312.00752, section 3.6 and upstream's `_init_weights`). A seed gives the same values on every machine.
 * @throws MambaError `invalid-argument` on a wrong config or seed.
 */
export function initialParameters(given: ModelConfigLike, { seed }: { readonly seed: number }): ParameterSource {
  const { blocks } = resolveModelConfig('initialParameters.config', given);
  const random = new Random(seed);
  // Each parameter has a stream of its own, so that its values do not depend on the order of loading.
  return (parameter) => draw(parameter, random.fork(parameter.name), blocks.length);
}

function draw({ shape, role, training }: ParameterSpec, random: Random, layers: number): HostTensor {
  const data = new Float32Array(sizeOf(shape));
  const columns = shape.at(-1)!;
  const initial =
    training?.initial ??
    (role === 'matrix'
      ? { kind: 'uniform' as const, bound: 1 / Math.sqrt(columns) }
      : { kind: 'constant' as const, value: 0 });
  const scale = training?.residual === true ? 1 / Math.sqrt(layers) : 1;
  const uniform = (): number => random.uniform();
  const value = (index: number): number => {
    if (typeof initial === 'function') return initial(index, uniform);
    switch (initial.kind) {
      case 'constant':
        return initial.value;
      case 'uniform':
        return (2 * uniform() - 1) * initial.bound;
      case 'normal':
        return initial.deviation * random.normal();
      case 'ramp':
        return -((index % columns) + 1);
      case 'steps': {
        const step = initial.smallest * (initial.largest / initial.smallest) ** uniform();
        // log(exp(step) - 1), without cancellation for small steps.
        return step + Math.log(-Math.expm1(-step));
      }
    }
  };
  for (let index = 0; index < data.length; index++) data[index] = scale * value(index);
  return { dtype: 'float32', shape, data };
}
