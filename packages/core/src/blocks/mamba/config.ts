import { checkBoolean, checkInteger, checkNumber, checkOptions } from '../../operations/check.ts';

/** Sizes and options of a Mamba block (arXiv 2312.00752, section 3.4). */
export interface MambaConfig {
  /** Channels of the scan: usually twice dModel. */
  readonly dInner: number;
  /** States of each channel. */
  readonly dState: number;
  /** Taps of the causal convolution. */
  readonly dConv: number;
  /** Width of the bottleneck that makes dt. */
  readonly dtRank: number;
  /** dt, B and C are RMS-normalised with this eps before they are used; absent means not (Falcon-Mamba, Jamba). */
  readonly mixerNormEps?: number | undefined;
  /** Those norms have weights (Jamba) or not (Falcon-Mamba). Default false. */
  readonly mixerNormWeights?: boolean | undefined;
  /** in_proj and out_proj have biases. Default false. */
  readonly projectionBias?: boolean | undefined;
  /** The convolution has a bias. Default true. */
  readonly convBias?: boolean | undefined;
}

export const MAMBA_DEFAULTS = { projectionBias: false, convBias: true } as const;

/** Mamba's usual sizes for a width: expand 2, 16 states, a convolution of 4, dt rank of a sixteenth. */
export function mambaSizes(dModel: number): MambaConfig {
  return { dInner: 2 * dModel, dState: 16, dConv: 4, dtRank: Math.ceil(dModel / 16) };
}

export const MAMBA_KEYS = [
  'dInner',
  'dState',
  'dConv',
  'dtRank',
  'mixerNormEps',
  'mixerNormWeights',
  'projectionBias',
  'convBias',
] as const satisfies readonly (keyof MambaConfig)[];

export function checkMamba(origin: string, config: MambaConfig): void {
  checkOptions(origin, config, ['kind', ...MAMBA_KEYS]);
  for (const key of ['dInner', 'dState', 'dtRank'] as const) checkInteger(`${origin}.${key}`, config[key], 1, 2 ** 24);
  checkInteger(`${origin}.dConv`, config.dConv, 2, 2 ** 16);
  if (config.mixerNormEps !== undefined) checkNumber(`${origin}.mixerNormEps`, config.mixerNormEps, 0, 1);
  for (const key of ['mixerNormWeights', 'projectionBias', 'convBias'] as const)
    if (config[key] !== undefined) checkBoolean(`${origin}.${key}`, config[key]);
}
