/** Makes random weights with each kind's initialisation, one tensor at a time. */
import type { BlockConfig, BlockParameter, HostTensor, ModelConfig, ParameterSource, ParameterSpec } from '@mamba/core';
import { kindInputs } from '../blocks/inputs.ts';
import { Draw } from './draw.ts';

/**
 * The parameters of a model by the usual initialisation of its kinds: embeddings of deviation 0.02 (uniform, which is
 * quicker to draw), and blocks by `seededBlockParameter`. Parameters that are usually constant (the weights of norms,
 * Mamba's D and A) are spread by a tenth, so that leaving one out shows. Each tensor depends on the seed and its name
 * alone, so that the source keeps nothing.
 */
export function seededWeights(config: ModelConfig, seed: number): ParameterSource {
  return (parameter) => seededParameter(config, parameter, seed);
}

/**
 * One parameter of a block in a model of `layers` layers, as its kind initialises it. By default, matrices are uniform
 * within 1 / sqrt(inputs), and divided by sqrt(layers) where their product is added to the residual; vectors begin as
 * training begins them where those values vary, and are otherwise near 1, and biases within 1 / sqrt(dModel).
 */
export function seededBlockParameter(
  block: BlockConfig,
  { name, key, shape, role, training }: Omit<BlockParameter, 'optional'> & { readonly name: string },
  { dModel, layers, seed }: { readonly dModel: number; readonly layers: number; readonly seed: number },
): HostTensor {
  const draw = new Draw(name, shape, seed);
  const special = kindInputs(block.kind).parameter?.(block, key, draw);
  if (special !== undefined) return special;
  const initial = training?.initial;
  if (role === 'vector' && initial !== undefined && (typeof initial === 'function' || initial.kind !== 'constant'))
    return draw.initial(initial);
  // A parameter that is trained as the logarithm of its negative has to be below 0.
  if (training?.form === 'negative-exp') return draw.around(() => -1);
  if (role === 'vector') return key.endsWith('Bias') ? draw.within(dModel ** -0.5) : draw.around(() => 1);
  const depth = RESIDUAL_WRITERS.includes(key) ? layers : 1;
  return draw.within(1 / Math.sqrt(shape.at(-1)! * depth));
}

/** The keys of matrices whose product is added to the residual. */
const RESIDUAL_WRITERS = ['outProj', 'down'];

function seededParameter(config: ModelConfig, parameter: ParameterSpec, seed: number): HostTensor {
  const { name, layer, key, shape, role, training } = parameter;
  const { dModel, blocks } = config;
  if (layer !== undefined && key.startsWith('block.'))
    return seededBlockParameter(
      blocks[layer]!,
      { name, key: key.slice('block.'.length), shape, role, training },
      { dModel, layers: blocks.length, seed },
    );
  const draw = new Draw(name, shape, seed);
  if (role === 'matrix') return draw.within(0.02 * Math.sqrt(3));
  return key.endsWith('Bias') ? draw.within(0.1) : draw.around(() => 1);
}
