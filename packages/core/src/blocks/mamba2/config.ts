import { invalid } from '../../contract/errors.ts';
import { checkBoolean, checkInteger, checkNumber, checkOptions } from '../../operations/check.ts';

/** Sizes and options of a Mamba-2 block (arXiv 2405.21060, section 7). */
export interface Mamba2Config {
  /** Number of heads. All channels of a head share one decay. */
  readonly heads: number;
  /** Channels of a head. heads * headDim, the channels of the scan, is usually 2 dModel. */
  readonly headDim: number;
  /** Number of states of each channel. */
  readonly dState: number;
  /** Width of the causal convolution over x, B and C, in tokens. */
  readonly dConv: number;
  /**
   * Number of groups. Neighbouring heads of a group share B and C, and their channels are normalised together. Default
   * 1.
   */
  readonly groups?: number | undefined;
  /** The smallest step size, after softplus. Default: no limit. */
  readonly dtMin?: number | undefined;
  /** The largest step size, after softplus. Default: no limit. */
  readonly dtMax?: number | undefined;
  /** Whether an RMS norm goes with the gate, over the channels of a group. Default true. */
  readonly norm?: boolean | undefined;
  /** The eps of that norm. Default 1e-5. */
  readonly normEps?: number | undefined;
  /** Whether the gate multiplies what was normalised. Default false: the gate multiplies first. */
  readonly normBeforeGate?: boolean | undefined;
  /** Whether in_proj and out_proj have biases. Default false. */
  readonly projectionBias?: boolean | undefined;
  /** Whether the convolution has a bias. Default true. */
  readonly convBias?: boolean | undefined;
}

export const MAMBA2_DEFAULTS = { groups: 1, norm: true, projectionBias: false, convBias: true } as const;

/** The widths that follow from a config, in channels. */
export interface Mamba2Widths {
  readonly dInner: number;
  /** B and C of all groups, each. */
  readonly groupStates: number;
  /** x, B and C: what the convolution runs over. */
  readonly conv: number;
  /** z, x, B, C and dt: the results of in_proj. */
  readonly projected: number;
}

/** The channels of a Mamba-2 block's projections, which follow from its config. */
export function mamba2Widths({ heads, headDim, dState, groups = 1 }: Mamba2Config): Mamba2Widths {
  const dInner = heads * headDim;
  const groupStates = groups * dState;
  const conv = dInner + 2 * groupStates;
  return { dInner, groupStates, conv, projected: dInner + conv + heads };
}

const SIZES = ['heads', 'headDim', 'dState', 'groups'] as const;
const FLAGS = ['norm', 'normBeforeGate', 'projectionBias', 'convBias'] as const;
const LARGEST = 2 ** 24;

export function checkMamba2(origin: string, config: Mamba2Config): void {
  checkOptions(origin, config, ['kind', ...SIZES, 'dConv', 'dtMin', 'dtMax', 'normEps', ...FLAGS]);
  const { heads, groups = 1, dtMin = 0, dtMax, norm = true } = config;
  for (const key of SIZES) {
    const value = key === 'groups' ? groups : config[key];
    checkInteger(`${origin}.${key}`, value, 1, LARGEST);
  }
  if (heads % groups !== 0)
    throw invalid(`${origin}.groups`, String(groups), `a number that divides the heads, ${heads}`);
  const { projected } = mamba2Widths(config);
  if (projected > LARGEST)
    throw invalid(origin, `${projected} channels of z, x, B, C and dt together`, `at most ${LARGEST}`);
  checkInteger(`${origin}.dConv`, config.dConv, 2, 2 ** 16);
  checkNumber(`${origin}.dtMin`, dtMin, 0, Number.MAX_VALUE);
  // Configs are kept as JSON, which has no infinity.
  if (dtMax !== undefined) checkNumber(`${origin}.dtMax`, dtMax, dtMin, Number.MAX_VALUE);
  for (const key of FLAGS) if (config[key] !== undefined) checkBoolean(`${origin}.${key}`, config[key]);
  for (const key of ['normEps', 'normBeforeGate'] as const)
    if (!norm && config[key] !== undefined)
      throw invalid(`${origin}.${key}`, String(config[key]), 'no such option where norm is false');
  if (config.normEps !== undefined) checkNumber(`${origin}.normEps`, config.normEps, 0, 1);
}
