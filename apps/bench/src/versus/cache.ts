import { type ModelConfig, modelParameters, sizeOf } from '@mamba/core';

/** Weights of a Transformer's layer in dModel²: 4 of attention, and 8 of an MLP of four times the width. */
const LAYER = 12;

/**
 * Bytes of a Transformer's cache for each token: keys and values of the model's width, in float32, in as many layers
 * (arXiv 2312.00752, section 3.4) as have the weights of the model's blocks together, whatever their kinds are.
 */
export function cacheBytesPerToken(config: ModelConfig): number {
  const weights = modelParameters(config)
    .filter(({ key }) => key.startsWith('block.'))
    .reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  const layers = weights / (LAYER * config.dModel ** 2);
  return Math.round(2 * 4 * config.dModel * layers);
}
