/**
 * The original layout of state-spaces (mamba_ssm) for Mamba and Mamba-2. Its sizes have other names than those of
 * transformers, and a gated MLP may follow each mixer (`d_intermediate`).
 */
import { type BlockConfig, type ModelConfig, modelConfig } from '@mamba/core';
import { beyondRms } from '@mamba/core/toolkit';
import { Fields, MAX_LAYERS, MAX_SIZE } from '../config/fields.ts';
import { damaged, list, unsupported } from '../errors.ts';
import type { Family } from './family.ts';
import { repeated } from './shared/layers.ts';
import { MIXER } from './shared/mamba-block.ts';
import { MIXER2 } from './shared/mamba2-block.ts';
import { ORIGINAL_MIXERS, type OriginalBlock, type OriginalMixer, originalMixer } from './shared/original-mixers.ts';
import { repeatedRefusal, swiGluRefusal } from './shared/refusals.ts';
import { byTable, prefixed, type TensorTable } from './table.ts';

/** The width of the MLP is rounded up to a multiple of this. */
const MLP_MULTIPLE = 128;

/**
 * The remedy for an ambiguous file: some releases passed the mixer's output to the MLP instead of the norm's, and no
 * file tells which release it was made with.
 */
const MLP_INPUT_REMEDY =
  'Releases of mamba_ssm differ there. Say true if the MLP of your model takes the normalised residual.';

const TENSORS: TensorTable = {
  model: {
    embedding: 'backbone.embedding.weight',
    finalNorm: 'backbone.norm_f.weight',
    head: 'lm_head.weight',
  },
  layers: {
    mamba: { norm: 'backbone.layers.#.norm.weight', ...prefixed('backbone.layers.#.mixer.', MIXER) },
    mamba2: { norm: 'backbone.layers.#.norm.weight', ...prefixed('backbone.layers.#.mixer.', MIXER2) },
    mlp: {
      norm: 'backbone.layers.#.norm2.weight',
      // One projection gives the gated half, then the gate.
      'block.up': { name: 'backbone.layers.#.mlp.fc1.weight', share: { index: 0, of: 2 } },
      'block.gate': { name: 'backbone.layers.#.mlp.fc1.weight', share: { index: 1, of: 2 } },
      'block.down': 'backbone.layers.#.mlp.fc2.weight',
    },
  },
  layerOf: (index, config) => (hasMlp(config) ? Math.floor(index / 2) : index),
};

export const mambaOriginal: Family = {
  name: 'mamba-original',
  folder: {
    identity: {
      layout: 'the original layout of state-spaces with d_model',
      matches: (fields) => fields.get('d_model') !== undefined,
    },
    refusal(config) {
      const [first] = config.blocks as readonly [BlockConfig];
      const { kind = 'mamba' } = originalMixer(first.kind) ?? {};
      const refusal =
        beyondRms(config) ?? (hasMlp(config) ? repeatedRefusal(config, kind, 'mlp') : repeatedRefusal(config, kind));
      if (refusal !== undefined) return refusal;
      const { mixer, block } = mixerOf(config);
      return mixer.refusal(block, config.dModel) ?? (hasMlp(config) ? mlpRefusal(mlpOf(config)) : undefined);
    },
    config: readOriginal,
    json(config) {
      const { mixer, block } = mixerOf(config);
      return {
        d_model: config.dModel,
        ...(hasMlp(config) && { d_intermediate: mlpOf(config).dHidden }),
        n_layer: hasMlp(config) ? config.blocks.length / 2 : config.blocks.length,
        vocab_size: config.vocabSize,
        pad_vocab_size_multiple: 1,
        ssm_cfg: mixer.json(block, config.dModel),
        rms_norm: true,
        norm_epsilon: config.normEps,
        residual_in_fp32: true,
        fused_add_norm: true,
        tie_embeddings: config.tiedHead,
      };
    },
    tensors: (config) => byTable(TENSORS, config),
    base: 'backbone.',
    aliases: { 'backbone.embeddings.weight': 'backbone.embedding.weight' },
    tiedField: 'tie_embeddings',
  },
};

/** Reads the config. The vocabulary is rounded up, as mamba_ssm does for the embedding. */
function readOriginal(fields: Fields): ModelConfig {
  if (!fields.boolean('rms_norm', true)) throw fields.unsupported('rms_norm', 'false (LayerNorm)', 'true (RMSNorm)');
  const attention = fields.get('attn_layer_idx');
  if (attention !== undefined && !(Array.isArray(attention) && attention.length === 0))
    throw fields.unsupported('attn_layer_idx', 'layers of attention', 'none');
  const ssm = fields.object('ssm_cfg') ?? new Fields(fields.origin('ssm_cfg'), {});
  const form = ORIGINAL_MIXERS[ssm.oneOf('layer', Object.keys(ORIGINAL_MIXERS), 'Mamba1')]!;
  const unknown = ssm.names.filter((name) => !form.fields.includes(name));
  if (unknown.length > 0) throw fields.unsupported('ssm_cfg', list(unknown), `only ${form.fields.join(', ')}`);
  const dModel = fields.integer(['d_model'], 1, MAX_SIZE);
  const vocabSize = roundUp(
    fields.integer(['vocab_size'], 1, MAX_SIZE),
    fields.integer(['pad_vocab_size_multiple'], 1, MAX_SIZE, 8),
  );
  if (vocabSize > MAX_SIZE) throw damaged(fields.origin('vocab_size'), `${vocabSize} padded`, `at most ${MAX_SIZE}`);
  const mixer = form.read(ssm, dModel);
  const width = roundUp(fields.integer(['d_intermediate'], 0, MAX_SIZE - MLP_MULTIPLE, 0), MLP_MULTIPLE);
  if (width > 0 && !fields.boolean('fused_add_norm', true))
    throw unsupported(fields.origin('fused_add_norm'), 'false, with an MLP', 'true', MLP_INPUT_REMEDY);
  const layer: readonly BlockConfig[] =
    width === 0 ? [mixer] : [mixer, { kind: 'mlp', dHidden: width, activation: 'silu' }];
  const layers = fields.integer(['n_layer'], 1, MAX_LAYERS / layer.length);
  return modelConfig({
    dModel,
    vocabSize,
    blocks: repeated(layers, layer),
    normEps: fields.number('norm_epsilon', 0, 1, 1e-5),
    tiedHead: fields.boolean('tie_embeddings', true),
  });
}

/** The mixer of a model that is not refused. */
function mixerOf({ blocks }: ModelConfig): { readonly mixer: OriginalMixer; readonly block: OriginalBlock } {
  const [block] = blocks as readonly [OriginalBlock];
  return { mixer: originalMixer(block.kind)!, block };
}

function hasMlp({ blocks }: ModelConfig): boolean {
  return blocks.length > 1 && blocks[1]!.kind === 'mlp';
}

function mlpOf({ blocks }: ModelConfig): BlockConfig<'mlp'> {
  return blocks[1] as BlockConfig<'mlp'>;
}

function mlpRefusal(block: BlockConfig<'mlp'>): string | undefined {
  const odd = `has an MLP of width ${block.dHidden}, no multiple of ${MLP_MULTIPLE}`;
  return swiGluRefusal(block) ?? (block.dHidden % MLP_MULTIPLE === 0 ? undefined : odd);
}

function roundUp(size: number, multiple: number): number {
  return Math.ceil(size / multiple) * multiple;
}
