/** llama.cpp's names for architecture `mamba`: metadata keys and tensors. */
import type { ModelConfig, ParameterSpec } from '@mamba/core';
import { uniformMamba } from '../config/uniform.ts';

export const ARCHITECTURE = 'mamba';

export const KEYS = {
  architecture: 'general.architecture',
  dModel: 'mamba.embedding_length',
  layers: 'mamba.block_count',
  vocabSize: 'mamba.vocab_size',
  dConv: 'mamba.ssm.conv_kernel',
  dInner: 'mamba.ssm.inner_size',
  dState: 'mamba.ssm.state_size',
  dtRank: 'mamba.ssm.time_step_rank',
  normEps: 'mamba.attention.layer_norm_rms_epsilon',
  mixerNorm: 'mamba.ssm.dt_b_c_rms',
  /** Ours: llama.cpp takes `normEps` for the mixer's norms as well, whatever a Falcon-Mamba's config says. */
  mixerNormEps: 'mamba.ssm.dt_b_c_rms_epsilon',
} as const;

/** A parameter's tensor. The biases of in_proj and out_proj are ours: llama.cpp has no Mamba with them. */
export function ggufTensorName({ key, layer }: Pick<ParameterSpec, 'key' | 'layer'>): string {
  return layer === undefined ? NAMES[key]! : `blk.${layer}.${NAMES[key]}`;
}

/** What llama.cpp cannot load of a config, in words; empty where it can load all of it. */
export function llamaCppLimits(config: ModelConfig): readonly string[] {
  const { dModel, normEps } = config;
  const { dInner, projectionBias, convBias, mixerNormEps } = uniformMamba('llamaCppLimits.config', config);
  const limits: string[] = [];
  if (dInner !== 2 * dModel) limits.push(`dInner ${dInner} is not twice dModel ${dModel}`);
  if (projectionBias) limits.push('in_proj and out_proj have biases');
  if (!convBias) limits.push('the convolution has no bias');
  if (mixerNormEps !== undefined && mixerNormEps !== normEps)
    limits.push(`the mixer's norms use normEps ${normEps} there, not ${mixerNormEps}`);
  return limits;
}

const NAMES: Readonly<Record<string, string>> = {
  embedding: 'token_embd.weight',
  finalNorm: 'output_norm.weight',
  head: 'output.weight',
  norm: 'attn_norm.weight',
  'block.inProj': 'ssm_in.weight',
  'block.inProjBias': 'ssm_in.bias',
  'block.conv': 'ssm_conv1d.weight',
  'block.convBias': 'ssm_conv1d.bias',
  'block.xProj': 'ssm_x.weight',
  'block.dtProj': 'ssm_dt.weight',
  'block.dtBias': 'ssm_dt.bias',
  'block.A': 'ssm_a',
  'block.D': 'ssm_d',
  'block.outProj': 'ssm_out.weight',
  'block.outProjBias': 'ssm_out.bias',
};
