import { MambaError, type ModelConfig, modelConfig } from '@mamba/core';
import { damaged, list, show } from '../errors.ts';
import { Fields } from './fields.ts';

/**
 * The model that a `config.json` describes: transformers' `mamba` and `falcon_mamba`, and the original layout of state-spaces.
 * Sizes must be there; everything else has the defaults of whoever wrote the file. `intermediate_size` wins over `expand`.
 * @throws MambaError `invalid-file` naming the field that is missing, absurd or contradicts another; `unsupported` for a model
 * that this is not.
 */
export function parseConfig(json: unknown, origin = 'config.json'): ModelConfig {
  const fields = new Fields(origin, json);
  const type = fields.get('model_type');
  if (type === 'mamba' || type === 'falcon_mamba') return transformersConfig(fields, type);
  if (type === undefined && fields.get('d_model') !== undefined) return originalConfig(fields);
  if (type === undefined) throw damaged(fields.origin('model_type'), 'nothing', SUPPORTED);
  throw unsupported(fields.origin('model_type'), show(type), SUPPORTED);
}

const SUPPORTED = '"mamba", "falcon_mamba", or the original layout of state-spaces with d_model';
const ARCHITECTURES = { mamba: 'Mamba', falcon_mamba: 'FalconMamba' } as const;
/** The class of state-spaces, which converted checkpoints may still name. */
const ORIGINAL = { mamba: 'MambaLMHeadModel', falcon_mamba: undefined } as const;
const MAX_SIZE = 2 ** 24;
const MAX_LAYERS = 2 ** 16;

function transformersConfig(fields: Fields, type: keyof typeof ARCHITECTURES): ModelConfig {
  const falcon = type === 'falcon_mamba';
  checkArchitectures(fields, type);
  if (fields.get('quantization_config') !== undefined)
    throw unsupported(fields.origin('quantization_config'), 'quantised weights', 'a checkpoint in F32, F16 or BF16');
  if (!falcon && fields.get('mixer_rms_eps') !== undefined)
    throw damaged(fields.origin('mixer_rms_eps'), show(fields.get('mixer_rms_eps')), 'none, since model_type is mamba');
  checkOneOf(fields, 'hidden_act', ['silu', 'swish'], 'silu');
  const dModel = fields.integer(['hidden_size', 'd_model'], 1, MAX_SIZE);
  const inner = fields.integer(['intermediate_size', 'd_inner'], 1, MAX_SIZE, expanded(fields, dModel));
  const layers = fields.integer(['num_hidden_layers', 'n_layer'], 1, MAX_LAYERS);
  const vocabSize = fields.integer(['vocab_size'], 1, MAX_SIZE);
  return modelConfig(
    { layers, dModel, vocabSize },
    {
      dInner: inner,
      dState: fields.integer(['state_size', 'd_state'], 1, MAX_SIZE, 16),
      dConv: fields.integer(['conv_kernel', 'd_conv'], 2, 2 ** 16, 4),
      dtRank: dtRank(fields, 'time_step_rank', dModel),
      ...(falcon && { mixerNormEps: fields.number('mixer_rms_eps', 0, 1, 1e-6) }),
      normEps: fields.number('layer_norm_epsilon', 0, 1, 1e-5),
      tiedHead: fields.boolean('tie_word_embeddings', true),
      projectionBias: fields.boolean('use_bias', false),
      convBias: fields.boolean('use_conv_bias', true),
    },
  );
}

/** Rounds the vocabulary up, as the original does when it makes the embedding. */
function originalConfig(fields: Fields): ModelConfig {
  if (!fields.boolean('rms_norm', true))
    throw unsupported(fields.origin('rms_norm'), 'false (LayerNorm)', 'true (RMSNorm)');
  if (fields.integer(['d_intermediate'], 0, MAX_SIZE, 0) > 0)
    throw unsupported(fields.origin('d_intermediate'), 'layers with an MLP', '0');
  const attention = fields.get('attn_layer_idx');
  if (attention !== undefined && !(Array.isArray(attention) && attention.length === 0))
    throw unsupported(fields.origin('attn_layer_idx'), 'layers of attention', 'none');
  const ssm = fields.object('ssm_cfg') ?? new Fields(fields.origin('ssm_cfg'), {});
  checkOneOf(ssm, 'layer', ['Mamba1'], 'Mamba1');
  const strange = ssm.names.filter((name) => !SSM_FIELDS.includes(name));
  if (strange.length > 0) throw unsupported(fields.origin('ssm_cfg'), list(strange), `only ${SSM_FIELDS.join(', ')}`);
  const dModel = fields.integer(['d_model'], 1, MAX_SIZE);
  const multiple = fields.integer(['pad_vocab_size_multiple'], 1, MAX_SIZE, 8);
  const vocab = fields.integer(['vocab_size'], 1, MAX_SIZE);
  const vocabSize = Math.ceil(vocab / multiple) * multiple;
  if (vocabSize > MAX_SIZE) throw damaged(fields.origin('vocab_size'), `${vocabSize} padded`, `at most ${MAX_SIZE}`);
  return modelConfig(
    { layers: fields.integer(['n_layer'], 1, MAX_LAYERS), dModel, vocabSize },
    {
      dInner: expanded(ssm, dModel),
      dState: ssm.integer(['d_state'], 1, MAX_SIZE, 16),
      dConv: ssm.integer(['d_conv'], 2, 2 ** 16, 4),
      dtRank: dtRank(ssm, 'dt_rank', dModel),
      normEps: fields.number('norm_epsilon', 0, 1, 1e-5),
      tiedHead: fields.boolean('tie_embeddings', true),
      projectionBias: ssm.boolean('bias', false),
      convBias: ssm.boolean('conv_bias', true),
    },
  );
}

/** Those that shape the model, then those of its training or its CUDA kernels. */
const SSM_FIELDS = [
  ...['layer', 'd_state', 'd_conv', 'expand', 'dt_rank', 'bias', 'conv_bias'],
  ...['dt_min', 'dt_max', 'dt_init', 'dt_scale', 'dt_init_floor', 'use_fast_path'],
];

function expanded(fields: Fields, dModel: number): number {
  const inner = dModel * fields.integer(['expand'], 1, 2 ** 16, 2);
  if (inner > MAX_SIZE && fields.get('intermediate_size') === undefined)
    throw damaged(fields.origin('expand'), `an inner size of ${inner}`, `at most ${MAX_SIZE}`);
  return inner;
}

function dtRank(fields: Fields, name: string, dModel: number): number {
  if ((fields.get(name) ?? 'auto') === 'auto') return Math.ceil(dModel / 16);
  return fields.integer([name], 1, MAX_SIZE);
}

function checkArchitectures(fields: Fields, type: keyof typeof ARCHITECTURES): void {
  const architectures = fields.get('architectures') ?? [];
  const expected = [`${ARCHITECTURES[type]}ForCausalLM`, `${ARCHITECTURES[type]}Model`, ORIGINAL[type]];
  const fits = Array.isArray(architectures) && architectures.every((name) => expected.includes(name as string));
  if (!fits)
    throw damaged(fields.origin('architectures'), show(architectures), `${expected[0]}, since model_type is ${type}`);
}

function checkOneOf(fields: Fields, name: string, allowed: readonly string[], fallback: string): void {
  const value = fields.get(name) ?? fallback;
  if (!allowed.includes(value as string)) throw unsupported(fields.origin(name), show(value), allowed.join(' or '));
}

function unsupported(origin: string, given: string, expected: string): MambaError {
  return new MambaError('unsupported', `${origin} is not supported`, { origin, given, expected });
}
