import { invalid } from '../../contract/errors.ts';
import { checkBoolean, checkInteger, checkNumber, checkOptions } from '../../operations/check.ts';

/** Sizes and options of a Mamba block (arXiv 2312.00752, section 3.4). */
export interface MambaConfig {
  /** Number of channels of the scan, usually 2 dModel. */
  readonly dInner: number;
  /** Number of states of each channel. */
  readonly dState: number;
  /** Width of the causal convolution, in tokens. */
  readonly dConv: number;
  /** Width of the low-rank projection that dt is computed from. */
  readonly dtRank: number;
  /** The eps of RMS norms of dt, B and C (Falcon-Mamba, Jamba). Default: they are not normalised. */
  readonly mixerNormEps?: number | undefined;
  /** Whether these norms have weights, as Jamba's do and Falcon-Mamba's do not. Default false. */
  readonly mixerNormWeights?: boolean | undefined;
  /** Whether in_proj and out_proj have biases. Default false. */
  readonly projectionBias?: boolean | undefined;
  /** Whether the convolution has a bias. Default true. */
  readonly convBias?: boolean | undefined;
}

export const MAMBA_DEFAULTS = { projectionBias: false, convBias: true } as const;

/** The usual sizes for a width: dInner 2 dModel, dState 16, dConv 4, dtRank ceil(dModel / 16). */
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
  if (config.dInner === undefined)
    throw invalid(
      `${origin}.dInner`,
      'undefined',
      'the number of channels',
      "The usual sizes for a width are those of mambaSizes: { kind: 'mamba', ...mambaSizes(dModel) }.",
    );
  for (const key of ['dInner', 'dState', 'dtRank'] as const) checkInteger(`${origin}.${key}`, config[key], 1, 2 ** 24);
  checkInteger(`${origin}.dConv`, config.dConv, 2, 2 ** 16);
  if (config.mixerNormEps !== undefined) checkNumber(`${origin}.mixerNormEps`, config.mixerNormEps, 0, 1);
  for (const key of ['mixerNormWeights', 'projectionBias', 'convBias'] as const)
    if (config[key] !== undefined) checkBoolean(`${origin}.${key}`, config[key]);
}
