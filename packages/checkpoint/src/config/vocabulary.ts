import { type ModelConfig, modelConfig } from '@mamba/core';

/**
 * The config with the rows that the embedding has, where these are what `vocab_size` says, as it stands or rounded up
 * to `pad_vocab_size_multiple`: not every writer says which of the two it means. Any other number is left for the
 * shapes' check.
 */
export function withRows(config: ModelConfig, json: unknown, rows: number | undefined): ModelConfig {
  const { vocab_size: size, pad_vocab_size_multiple: multiple } = json as Readonly<Record<string, unknown>>;
  if (typeof size !== 'number' || rows === undefined) return config;
  const padded = Number.isSafeInteger(multiple) && (multiple as number) > 0 ? roundUp(size, multiple as number) : size;
  return rows === size || rows === padded ? modelConfig({ ...config, vocabSize: rows }) : config;
}

function roundUp(size: number, multiple: number): number {
  return Math.ceil(size / multiple) * multiple;
}
