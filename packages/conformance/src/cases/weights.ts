/** Random weights with each kind's initialisation, one tensor at a time. */
import {
  type BlockConfig,
  type BlockParameter,
  type HostTensor,
  type MambaConfig,
  type ModelConfig,
  type ParameterSource,
  type ParameterSpec,
  sizeOf,
} from '@mamba/core';
import { deriveSeed, Random } from '../random.ts';
import { floats } from './host.ts';
import { inverseSoftplus } from './regimes.ts';

/**
 * A model's parameters by the usual initialisation of its kinds: embeddings of deviation 0.02 (uniform, which is
 * quicker to draw), and what `seededBlockParameter` gives. What is a constant there (norms, D, A) is spread by a tenth,
 * so that leaving it out shows. Each tensor depends on the seed and its name alone, so that a source needs no memory.
 */
export function seededWeights(config: ModelConfig, seed: number): ParameterSource {
  return (parameter) => seededParameter(config, parameter, seed);
}

/**
 * One parameter of a block in a model of so many layers. Matrices are uniform within 1 / sqrt(inputs), those that write
 * to the residual divided by sqrt(layers); vectors are near 1, biases within 1 / sqrt(dModel). Mamba's dt_proj is
 * within dtRank^-1/2 with a bias that gives steps of 0.001 to 0.1, and its A is -1 … -dState.
 */
export function seededBlockParameter(
  block: BlockConfig,
  { name, key, shape, role }: Pick<BlockParameter, 'key' | 'shape' | 'role'> & { readonly name: string },
  { dModel, layers, seed }: { readonly dModel: number; readonly layers: number; readonly seed: number },
): HostTensor {
  const draw = new Draw(name, shape, seed);
  const special = block.kind === 'mamba' ? seededMamba(block, key, draw) : undefined;
  if (special !== undefined) return special;
  if (role === 'vector') return key.endsWith('Bias') ? draw.within(dModel ** -0.5) : draw.around(() => 1);
  const depth = RESIDUAL_WRITERS.includes(key) ? layers : 1;
  return draw.within(1 / Math.sqrt(shape.at(-1)! * depth));
}

const RESIDUAL_WRITERS = ['outProj', 'down'];

function seededParameter(config: ModelConfig, parameter: ParameterSpec, seed: number): HostTensor {
  const { name, layer, key, shape, role } = parameter;
  const { dModel, blocks } = config;
  if (layer !== undefined && key.startsWith('block.'))
    return seededBlockParameter(
      blocks[layer]!,
      { name, key: key.slice('block.'.length), shape, role },
      { dModel, layers: blocks.length, seed },
    );
  const draw = new Draw(name, shape, seed);
  if (role === 'matrix') return draw.within(0.02 * Math.sqrt(3));
  return key.endsWith('Bias') ? draw.within(0.1) : draw.around(() => 1);
}

function seededMamba({ dState, dConv, dtRank }: MambaConfig, key: string, draw: Draw): HostTensor | undefined {
  switch (key) {
    case 'A':
      return draw.around((index) => -((index % dState) + 1));
    case 'dtBias':
      return draw.steps();
    case 'dtProj':
      return draw.within(dtRank ** -0.5);
    case 'conv':
    case 'convBias':
      return draw.within(dConv ** -0.5);
    default:
      return undefined;
  }
}

/** Values of one tensor, which depend on the seed and its name. */
class Draw {
  readonly #random: Random;
  readonly #shape: readonly number[];

  constructor(name: string, shape: readonly number[], seed: number) {
    this.#random = new Random(deriveSeed(seed, name));
    this.#shape = shape;
  }

  within(bound: number): HostTensor {
    const data = new Float32Array(sizeOf(this.#shape));
    this.#random.fillUniform(data, -bound, bound);
    return { dtype: 'float32', shape: this.#shape, data };
  }

  around(value: (index: number) => number): HostTensor {
    return floats(this.#shape, (index) => value(index) * (1 + 0.1 * this.#random.normal()));
  }

  steps(): HostTensor {
    return floats(this.#shape, () => inverseSoftplus(this.#random.logUniform(1e-3, 0.1)));
  }
}
