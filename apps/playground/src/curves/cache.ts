import type { ModelConfig } from '@mamba/core';

/**
 * Bytes of a Transformer's cache for each token: keys and values of the model's width, float32, in half as many layers,
 * since a Transformer's layer (attention and an MLP of four times the width, 12 dModel² weights) has as many weights as
 * two Mamba blocks (arXiv 2312.00752, section 3.4).
 */
export function cacheBytesPerToken({ dModel, blocks }: ModelConfig): number {
  return (2 * 4 * dModel * blocks.length) / 2;
}
