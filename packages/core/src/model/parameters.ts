import type { ParameterTraining } from '../blocks/contract.ts';
import { blockDefinition } from '../blocks/kinds.ts';
import { sizeOf } from '../contract/tensor.ts';
import { type ModelConfigLike, resolveModelConfig } from './config.ts';
import type { LayerWeights, ModelConfig, ModelWeights, ParameterKey, ParameterSpec } from './contract.ts';

/** Every parameter of a model with its shape, in loading order: layer by layer. */
export function modelParameters(config: ModelConfigLike): readonly ParameterSpec[] {
  const resolved = resolveModelConfig('modelParameters', config);
  const { dModel, vocabSize, blocks, tiedHead, norm, positions } = resolved;
  const top = (
    key: ParameterKey,
    role: ParameterSpec['role'],
    shape: readonly number[],
    training?: ParameterTraining,
  ): ParameterSpec => ({
    name: key,
    layer: undefined,
    kind: undefined,
    key,
    shape,
    role,
    training,
  });
  const specs: ParameterSpec[] = [top('embedding', 'matrix', [vocabSize, dModel], EMBEDDING)];
  if (positions !== undefined) specs.push(top('positions', 'matrix', [positions, dModel], EMBEDDING));
  for (let layer = 0; layer < blocks.length; layer++) specs.push(...layerParameters(resolved, layer));
  specs.push(top('finalNorm', 'vector', [dModel], NORM));
  if (norm === 'layer') specs.push(top('finalNormBias', 'vector', [dModel]));
  if (!tiedHead) specs.push(top('head', 'matrix', [vocabSize, dModel]));
  return specs;
}

/** Assembles parameters by name into the structure that kernels take. */
export function assembleWeights<T>(config: ModelConfig, get: (name: string) => T): ModelWeights<T> {
  const embedding = get('embedding');
  const biased = config.norm === 'layer';
  const layers = config.blocks.map((_, layer): LayerWeights<T> => {
    const block = Object.fromEntries(
      layerParameters(config, layer)
        .filter(({ key }) => key.startsWith(BLOCK))
        .map(({ key, name }) => [key.slice(BLOCK.length), get(name)]),
    );
    const name = `layers.${layer}.norm`;
    return { norm: get(name), ...(biased && { normBias: get(`${name}Bias`) }), block };
  });
  return {
    embedding,
    ...(config.positions !== undefined && { positions: get('positions') }),
    layers,
    finalNorm: get('finalNorm'),
    ...(biased && { finalNormBias: get('finalNormBias') }),
    head: config.tiedHead ? embedding : get('head'),
  };
}

/** The number of weights of a model. A tied head is counted once. */
export function parameterCount(config: ModelConfigLike): number {
  return modelParameters(config).reduce((sum, { shape }) => sum + sizeOf(shape), 0);
}

const BLOCK = 'block.';

const EMBEDDING: ParameterTraining = { initial: { kind: 'normal', deviation: 0.02 } };

const NORM: ParameterTraining = { initial: { kind: 'constant', value: 1 } };

function layerParameters(config: ModelConfig, layer: number): readonly ParameterSpec[] {
  const { dModel, norm } = config;
  const block = config.blocks[layer]!;
  const spec = (
    key: ParameterKey,
    { shape, role, training }: Pick<ParameterSpec, 'shape' | 'role' | 'training'>,
  ): ParameterSpec => ({
    name: `layers.${layer}.${key}`,
    layer,
    kind: block.kind,
    key,
    shape,
    role,
    training,
  });
  const vector = { shape: [dModel], role: 'vector' } as const;
  return [
    spec('norm', { ...vector, training: NORM }),
    ...(norm === 'layer' ? [spec('normBias', vector)] : []),
    ...blockDefinition('config.blocks', block.kind)
      .parameters(block, dModel)
      .map((parameter) => spec(`${BLOCK}${parameter.key}`, parameter)),
  ];
}
