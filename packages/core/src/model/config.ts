import { blockConfig, checkBlockConfig } from '../block/block.ts';
import { checkBoolean, checkInteger, checkNumber, checkOptions } from '../operations/check.ts';
import type { ModelConfig } from './contract.ts';

const KEYS: readonly (keyof ModelConfig)[] = [
  'dModel',
  'dInner',
  'dState',
  'dConv',
  'dtRank',
  'mixerNormEps',
  'layers',
  'vocabSize',
  'normEps',
  'tiedHead',
  'projectionBias',
  'convBias',
];

/** A model's config from its three free sizes; everything else is Mamba's default unless overridden. */
export function modelConfig(
  sizes: { layers: number; dModel: number; vocabSize: number },
  overrides: Partial<ModelConfig> = {},
): ModelConfig {
  const config = {
    ...blockConfig(sizes.dModel),
    ...sizes,
    normEps: 1e-5,
    tiedHead: true,
    projectionBias: false,
    convBias: true,
    ...overrides,
  };
  checkModelConfig('modelConfig', config);
  return config;
}

/** Published sizes: state-spaces/mamba-130m, -370m, -790m, -1.4b and -2.8b. */
export const MAMBA_SIZES = {
  'mamba-130m': { layers: 24, dModel: 768, vocabSize: 50280 },
  'mamba-370m': { layers: 48, dModel: 1024, vocabSize: 50280 },
  'mamba-790m': { layers: 48, dModel: 1536, vocabSize: 50280 },
  'mamba-1.4b': { layers: 48, dModel: 2048, vocabSize: 50280 },
  'mamba-2.8b': { layers: 64, dModel: 2560, vocabSize: 50280 },
} as const;

export function checkModelConfig(origin: string, config: ModelConfig): void {
  checkOptions(origin, config, KEYS);
  checkBlockConfig(origin, config);
  checkInteger(`${origin}.layers`, config.layers, 1, 2 ** 16);
  checkInteger(`${origin}.vocabSize`, config.vocabSize, 1, 2 ** 24);
  checkNumber(`${origin}.normEps`, config.normEps, 0, 1);
  for (const key of ['tiedHead', 'projectionBias', 'convBias'] as const) checkBoolean(`${origin}.${key}`, config[key]);
}
