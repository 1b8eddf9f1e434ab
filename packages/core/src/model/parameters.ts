import type { BlockWeights } from '../block/contract.ts';
import { blockParameters } from '../block/parameters.ts';
import type { Shape } from '../contract/tensor.ts';
import type { LayerWeights, ModelConfig, ModelWeights, ParameterKey, ParameterSpec } from './contract.ts';

/** Every parameter of a model in loading order, with its shape; layer by layer. */
export function modelParameters(config: ModelConfig): readonly ParameterSpec[] {
  const { dModel, vocabSize, layers, tiedHead } = config;
  const top = (key: ParameterKey, role: ParameterSpec['role'], ...shape: number[]): ParameterSpec => ({
    name: key,
    layer: undefined,
    key,
    shape,
    role,
  });
  const specs: ParameterSpec[] = [top('embedding', 'matrix', vocabSize, dModel)];
  for (let layer = 0; layer < layers; layer++) specs.push(...layerParameters(config, layer));
  specs.push(top('finalNorm', 'vector', dModel));
  if (!tiedHead) specs.push(top('head', 'matrix', vocabSize, dModel));
  return specs;
}

/** Parameters by name → the structure that kernels take. */
export function assembleWeights<T>(config: ModelConfig, get: (name: string) => T): ModelWeights<T> {
  const embedding = get('embedding');
  const layers = Array.from({ length: config.layers }, (_, layer): LayerWeights<T> => {
    const block = Object.fromEntries(
      layerParameters(config, layer)
        .filter(({ key }) => key !== 'norm')
        .map(({ key, name }) => [key.slice('block.'.length), get(name)]),
    );
    return { norm: get(`layers.${layer}.norm`), block: block as unknown as BlockWeights<T> };
  });
  return { embedding, layers, finalNorm: get('finalNorm'), head: config.tiedHead ? embedding : get('head') };
}

/** Number of weights of a model, a tied head counted once. */
export function parameterCount(config: ModelConfig): number {
  return modelParameters(config).reduce((sum, { shape }) => sum + shape.reduce((size, extent) => size * extent, 1), 0);
}

function layerParameters(config: ModelConfig, layer: number): readonly ParameterSpec[] {
  const spec = (key: ParameterKey, shape: Shape, role: ParameterSpec['role']): ParameterSpec => ({
    name: `layers.${layer}.${key}`,
    layer,
    key,
    shape,
    role,
  });
  const present = { inProjBias: config.projectionBias, outProjBias: config.projectionBias, convBias: config.convBias };
  return [
    spec('norm', [config.dModel], 'vector'),
    ...blockParameters(config)
      .filter(({ key }) => present[key as keyof typeof present] ?? true)
      .map(({ key, shape, role }) => spec(`block.${key}`, shape, role)),
  ];
}
