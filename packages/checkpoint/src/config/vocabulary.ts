import { type ModelConfig, modelConfig } from '@mamba/core';

/**
 * The config with the number of rows of the embedding as `vocabSize`, if that is `vocab_size` or `vocab_size` rounded
 * up to `pad_vocab_size_multiple`, since writers differ in which of the two they store. Any other number fails in the
 * check of shapes later.
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
