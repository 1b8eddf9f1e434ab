import { type BlockConfig, MambaError, type ModelConfig } from '@mamba/core';

/**
 * The one Mamba block that all layers of a model are alike.
 * @throws MambaError `unsupported` where they are not, or where the model has what these formats have no word for.
 */
export function uniformMamba(origin: string, config: ModelConfig): BlockConfig<'mamba'> {
  const [first] = config.blocks;
  const other = config.blocks.find((block) => JSON.stringify(block) !== JSON.stringify(first));
  if (first?.kind === 'mamba' && other === undefined && first.mixerNormWeights !== true) return first;
  const kinds = [...new Set(config.blocks.map(({ kind }) => kind))];
  throw new MambaError('unsupported', `${origin} cannot hold this model`, {
    origin,
    given: other === undefined ? `blocks of ${kinds.join(', ')}` : `blocks that differ (${kinds.join(', ')})`,
    expected: 'Mamba blocks that are alike, without weights in the norms of dt, B and C',
  });
}
