/**
 * The parts that GGUF files of all architectures share: keys that differ in the architecture's prefix alone, and
 * tensors.
 */
import type { MambaConfig, ModelConfig } from '@mamba/core';
import { MAX_LAYERS, MAX_SIZE } from '../../config/fields.ts';
import { damaged, quote, show } from '../../errors.ts';
import type { Metadata, TypedValue } from '../../gguf/metadata.ts';
import type { GgufView } from '../family.ts';
import type { Entry } from '../table.ts';

/** The names of tensors outside the layers. */
export const GGUF_MODEL = {
  embedding: 'token_embd.weight',
  finalNorm: 'output_norm.weight',
  head: 'output.weight',
} as const satisfies Readonly<Record<string, Entry>>;

/**
 * The sizes outside the layers. The vocabulary is the number of the embedding's rows, and the head is tied unless the
 * file has its tensor.
 */
export interface GgufSizes extends Pick<ModelConfig, 'dModel' | 'vocabSize' | 'normEps' | 'tiedHead'> {
  readonly layers: number;
}

export function readSizes({ metadata, tensors }: GgufView, architecture: string): GgufSizes {
  const key = (name: string): string => `${architecture}.${name}`;
  const vocabSize = tensors.get(GGUF_MODEL.embedding)?.shape[0];
  if (vocabSize === undefined) throw damaged(metadata.name, `no tensor ${quote(GGUF_MODEL.embedding)}`, 'an embedding');
  if (metadata.integer(key('vocab_size'), 1, MAX_SIZE, vocabSize) !== vocabSize)
    throw damaged(
      metadata.origin(key('vocab_size')),
      show(metadata.values.get(key('vocab_size'))),
      `${vocabSize}, its rows`,
    );
  return {
    normEps: epsilon(metadata, key('attention.layer_norm_rms_epsilon')),
    layers: metadata.integer(key('block_count'), 1, MAX_LAYERS),
    dModel: metadata.integer(key('embedding_length'), 1, MAX_SIZE),
    vocabSize,
    tiedHead: !tensors.has(GGUF_MODEL.head),
  };
}

/** Reads the sizes of a Mamba block. It has those biases whose tensors the file has. */
export function readMamba({ metadata, tensors }: GgufView, architecture: string): MambaConfig {
  const size = (name: string, min = 1, max = MAX_SIZE): number =>
    metadata.integer(`${architecture}.ssm.${name}`, min, max);
  return {
    dInner: size('inner_size'),
    dState: size('state_size'),
    dConv: size('conv_kernel', 2, 2 ** 16),
    dtRank: size('time_step_rank'),
    projectionBias: tensors.has('blk.0.ssm_in.bias'),
    convBias: tensors.has('blk.0.ssm_conv1d.bias'),
  };
}

/** The entries outside the blocks of a model without attention. */
export function recurrentEntries(
  architecture: string,
  { dModel, blocks, vocabSize }: ModelConfig,
): readonly (readonly [string, TypedValue])[] {
  return [
    // The state has no maximal length; llama.cpp's converter writes the same number.
    [`${architecture}.context_length`, uint32(2 ** 20)],
    [`${architecture}.embedding_length`, uint32(dModel)],
    // These have no effect, but llama.cpp requires them.
    [`${architecture}.feed_forward_length`, uint32(0)],
    [`${architecture}.attention.head_count`, uint32(0)],
    [`${architecture}.block_count`, uint32(blocks.length)],
    [`${architecture}.vocab_size`, uint32(vocabSize)],
  ];
}

/** The entries for the sizes of a Mamba block. */
export function mambaEntries(
  architecture: string,
  { dConv, dInner, dState, dtRank }: Pick<MambaConfig, 'dConv' | 'dInner' | 'dState' | 'dtRank'>,
): readonly (readonly [string, TypedValue])[] {
  return [
    [`${architecture}.ssm.conv_kernel`, uint32(dConv)],
    [`${architecture}.ssm.inner_size`, uint32(dInner)],
    [`${architecture}.ssm.state_size`, uint32(dState)],
    [`${architecture}.ssm.time_step_rank`, uint32(dtRank)],
  ];
}

/** The properties of a Mamba block that llama.cpp cannot load in any architecture, in words. */
export function mambaLimits(
  dModel: number,
  { dInner, projectionBias, convBias }: Pick<MambaConfig, 'dInner' | 'projectionBias' | 'convBias'>,
): string[] {
  const limits: string[] = [];
  if (dInner !== 2 * dModel) limits.push(`dInner ${dInner} is not twice dModel ${dModel}`);
  if (projectionBias) limits.push('in_proj and out_proj have biases');
  if (!convBias) limits.push('the convolution has no bias');
  return limits;
}

/** An eps as the decimal that its float32 was written from: 1e-5, not 9.999999747378752e-6. */
export function epsilon(metadata: Metadata, key: string): number {
  const value = metadata.number(key, 0, 1);
  const decimal = Number(value.toPrecision(7));
  return Math.fround(decimal) === value ? decimal : value;
}

export function uint32(value: number): TypedValue {
  return { type: 'uint32', value };
}

export function float32(value: number): TypedValue {
  return { type: 'float32', value };
}
