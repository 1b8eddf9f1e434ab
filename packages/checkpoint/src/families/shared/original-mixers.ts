/** The mixers of mamba_ssm, as `ssm_cfg` of a `config.json` describes them: Mamba1 and Mamba2. */
import type { BlockConfig } from '@mamba/core';
import { type Fields, MAX_SIZE } from '../../config/fields.ts';
import { damaged, show } from '../../errors.ts';
import { expanded, readDtRank } from './mamba-block.ts';
import { gateRefusal, innerOf, limitsJson, mamba2Block, readLimits } from './mamba2-block.ts';
import { expandRefusal } from './refusals.ts';

type Kind = 'mamba' | 'mamba2';
export type OriginalBlock = BlockConfig<Kind>;

/** One of the mixers that `layer` of `ssm_cfg` names. */
export interface OriginalMixer<K extends Kind = Kind> {
  readonly kind: K;
  /** Fields that define the block, then fields of its training and its CUDA kernels, which have no effect here. */
  readonly fields: readonly string[];
  read(ssm: Fields, dModel: number): BlockConfig<K>;
  json(block: BlockConfig<K>, dModel: number): object;
  /** The reason why `ssm_cfg` cannot express a block, in words that follow "the model". */
  refusal(block: BlockConfig<K>, dModel: number): string | undefined;
}

const mamba1: OriginalMixer<'mamba'> = {
  kind: 'mamba',
  fields: [
    ...['layer', 'd_state', 'd_conv', 'expand', 'dt_rank', 'bias', 'conv_bias'],
    ...['dt_min', 'dt_max', 'dt_init', 'dt_scale', 'dt_init_floor', 'use_fast_path'],
  ],
  read: (ssm, dModel) => ({
    kind: 'mamba',
    dInner: expanded(ssm, 'expand', dModel),
    dState: ssm.integer(['d_state'], 1, MAX_SIZE, 16),
    dConv: ssm.integer(['d_conv'], 2, 2 ** 16, 4),
    dtRank: readDtRank(ssm, 'dt_rank', dModel),
    projectionBias: ssm.boolean('bias', false),
    convBias: ssm.boolean('conv_bias', true),
  }),
  json: ({ dInner, dState, dConv, dtRank, projectionBias, convBias }, dModel) => ({
    ...{ d_state: dState, d_conv: dConv, expand: dInner / dModel, dt_rank: dtRank },
    ...{ bias: projectionBias, conv_bias: convBias },
  }),
  refusal: ({ dInner, mixerNormEps }, dModel) =>
    mixerNormEps === undefined ? expandRefusal(dInner, dModel) : 'has norms of dt, B and C',
};

/** The eps of Mamba2's gated norm, which no field changes. */
const GATED_NORM_EPS = 1e-5;

const mamba2: OriginalMixer<'mamba2'> = {
  kind: 'mamba2',
  fields: [
    ...['layer', 'd_state', 'd_conv', 'expand', 'headdim', 'd_ssm', 'ngroups', 'D_has_hdim', 'rmsnorm'],
    ...['norm_before_gate', 'dt_limit', 'bias', 'conv_bias'],
    ...['conv_init', 'A_init_range', 'dt_min', 'dt_max', 'dt_init_floor', 'chunk_size', 'use_mem_eff_path'],
  ],
  read(ssm, dModel) {
    const dInner = expanded(ssm, 'expand', dModel);
    if (ssm.integer(['d_ssm'], 1, MAX_SIZE, dInner) !== dInner)
      throw ssm.unsupported('d_ssm', show(ssm.get('d_ssm')), `${dInner}: a mixer without an MLP inside`);
    if (ssm.boolean('D_has_hdim', false)) throw ssm.unsupported('D_has_hdim', 'true', 'false: one D a head');
    const headDim = ssm.integer(['headdim'], 1, MAX_SIZE, 64);
    if (dInner % headDim !== 0)
      throw damaged(ssm.origin('headdim'), show(headDim), `a divisor of the inner size, ${dInner}`);
    const norm = ssm.boolean('rmsnorm', true);
    const sizes = {
      ...{ heads: dInner / headDim, headDim },
      dState: ssm.integer(['d_state'], 1, MAX_SIZE, 128),
      dConv: ssm.integer(['d_conv'], 2, 2 ** 16, 4),
      groups: ssm.integer(['ngroups'], 1, MAX_SIZE, 1),
      projectionBias: ssm.boolean('bias', false),
      convBias: ssm.boolean('conv_bias', true),
    };
    const normFirst = ssm.boolean('norm_before_gate', false);
    const gate = norm ? { normEps: GATED_NORM_EPS, ...(normFirst && { normBeforeGate: true }) } : { norm };
    return mamba2Block(ssm.origin('ngroups'), sizes, { ...gate, ...readLimits(ssm, 'dt_limit') });
  },
  json(block, dModel) {
    const { headDim, dState, dConv, groups, norm, normBeforeGate = false, projectionBias, convBias } = block;
    const limits = limitsJson(block);
    return {
      ...{ layer: 'Mamba2', d_state: dState, d_conv: dConv, expand: innerOf(block) / dModel, headdim: headDim },
      ...{ ngroups: groups, rmsnorm: norm, norm_before_gate: normBeforeGate },
      ...{ bias: projectionBias, conv_bias: convBias },
      ...(limits && { dt_limit: limits }),
    };
  },
  refusal: (block, dModel) =>
    (block.norm === false ? undefined : gateRefusal({ ...block, normBeforeGate: false }, GATED_NORM_EPS)) ??
    expandRefusal(innerOf(block), dModel),
};

/** The mixers, by the name of their layer. */
export const ORIGINAL_MIXERS: Readonly<Record<string, OriginalMixer>> = { Mamba1: mamba1, Mamba2: mamba2 };

/** The mixer that makes blocks of a kind; undefined where none does. */
export function originalMixer(kind: string): OriginalMixer | undefined {
  return Object.values(ORIGINAL_MIXERS).find((mixer) => mixer.kind === kind);
}
