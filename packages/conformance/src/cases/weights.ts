/** Random weights with Mamba's initialisation, one tensor at a time. */
import { type HostTensor, type ModelConfig, type ParameterSource, type ParameterSpec, sizeOf } from '@mamba/core';
import { deriveSeed, Random } from '../random.ts';
import { floats } from './host.ts';
import { inverseSoftplus } from './regimes.ts';

/**
 * A model's parameters by Mamba's usual initialisation: embeddings of deviation 0.02 (uniform, which is quicker to draw), matrices uniform within 1 / sqrt(inputs),
 * out_proj divided by sqrt(layers), dt_proj within dtRank^-1/2 with a bias that gives steps of 0.001 to 0.1, A = -1 … -state. What is
 * a constant there (norms, D, A) is spread by a tenth, so that leaving it out shows. Each tensor depends on the seed and its name
 * alone, so that a source needs no memory.
 */
export function seededWeights(config: ModelConfig, seed: number): ParameterSource {
  return (parameter) => seededParameter(config, parameter, seed);
}

export function seededParameter(
  config: Pick<ModelConfig, 'dInner' | 'dState' | 'dConv' | 'dtRank' | 'dModel' | 'layers'>,
  { name, key, shape }: Pick<ParameterSpec, 'name' | 'key' | 'shape'>,
  seed: number,
): HostTensor {
  const random = new Random(deriveSeed(seed, name));
  const within = (bound: number): HostTensor => {
    const data = new Float32Array(sizeOf(shape));
    random.fillUniform(data, -bound, bound);
    return { dtype: 'float32', shape, data };
  };
  const around = (value: (index: number) => number): HostTensor =>
    floats(shape, (index) => value(index) * (1 + 0.1 * random.normal()));
  switch (key) {
    case 'embedding':
    case 'head':
      return within(0.02 * Math.sqrt(3));
    case 'norm':
    case 'finalNorm':
    case 'block.D':
      return around(() => 1);
    case 'block.A':
      return around((index) => -((index % config.dState) + 1));
    case 'block.dtBias':
      return floats(shape, () => inverseSoftplus(random.logUniform(1e-3, 0.1)));
    case 'block.dtProj':
      return within(config.dtRank ** -0.5);
    case 'block.conv':
    case 'block.convBias':
      return within(config.dConv ** -0.5);
    case 'block.outProj':
      return within(1 / Math.sqrt(config.dInner * config.layers));
    case 'block.inProj':
    case 'block.inProjBias':
    case 'block.outProjBias':
      return within(config.dModel ** -0.5);
    case 'block.xProj':
      return within(1 / Math.sqrt(config.dInner));
  }
}
