import { invalid } from '../../contract/errors.ts';
import type { RopeOptions } from '../../contract/operations.ts';
import { checkBoolean, checkInteger, checkNumber, checkOptions } from '../../operations/check.ts';
import { resolveRope } from '../../operations/rope.ts';

/** Sizes and options of a softmax attention block (arXiv 1706.03762). It is causal. */
export interface AttentionConfig {
  readonly heads: number;
  /** Heads of k and v, each shared by heads / kvHeads neighbouring heads (arXiv 2305.13245). Default: `heads`. */
  readonly kvHeads?: number | undefined;
  /** Channels of a head. */
  readonly headDim: number;
  /** Rotary positions of q and k; `{}` has the paper's. Default: none. */
  readonly rope?: RopeConfig | undefined;
  /** A token sees itself and the tokens before it, this many in all. Default: no limit. */
  readonly window?: number | undefined;
  /**
   * The first tokens of a sequence, which every token sees beside its window (Longformer, arXiv 2004.05150). The cache
   * then holds every token, and not the window alone. Default 0.
   */
  readonly globalTokens?: number | undefined;
  /** Factor of q · k. Default `headDim^-0.5`. */
  readonly scale?: number | undefined;
  /** Scores are `softcap tanh(score / softcap)`. Default: no such bound. */
  readonly softcap?: number | undefined;
  /** Whether the projections to q, k and v have biases. Default false. */
  readonly bias?: boolean | undefined;
  /** Whether the projection from the heads to the output has a bias. Default false. */
  readonly outBias?: boolean | undefined;
  /** The eps of RMS norms of each head's q and k, with weights, before their positions. Default: no such norms. */
  readonly qkNormEps?: number | undefined;
}

/** Rotary positions, as the operation `rope` takes them: `theta` or `frequencies`, and the rest. */
export type RopeConfig = Pick<RopeOptions<never>, 'theta' | 'frequencies' | 'rotaryDim' | 'interleaved'>;

const KEYS = [
  'kind',
  'heads',
  'kvHeads',
  'headDim',
  'rope',
  'window',
  'globalTokens',
  'scale',
  'softcap',
  'bias',
  'outBias',
  'qkNormEps',
] as const;

/** Heads of k and v. */
export function kvHeadsOf({ heads, kvHeads = heads }: AttentionConfig): number {
  return kvHeads;
}

export function checkAttention(origin: string, config: AttentionConfig): void {
  checkOptions(origin, config, KEYS);
  const { heads, kvHeads, headDim, rope, window, globalTokens, scale, softcap, qkNormEps } = config;
  checkInteger(`${origin}.heads`, heads, 1, 2 ** 16);
  checkInteger(`${origin}.headDim`, headDim, 1, 2 ** 16);
  if (kvHeads !== undefined) {
    checkInteger(`${origin}.kvHeads`, kvHeads, 1, 2 ** 16);
    if (heads % kvHeads !== 0) throw invalid(`${origin}.kvHeads`, `${kvHeads}`, `a divisor of heads, ${heads}`);
  }
  if (window !== undefined) checkInteger(`${origin}.window`, window, 1, 2 ** 30);
  if (globalTokens !== undefined) {
    checkInteger(`${origin}.globalTokens`, globalTokens, 0, 2 ** 30);
    if (globalTokens > 0 && window === undefined)
      throw invalid(`${origin}.globalTokens`, `${globalTokens} without a window`, 'a window beside', 'Leave it out.');
  }
  if (scale !== undefined) checkNumber(`${origin}.scale`, scale, -1e30, 1e30);
  if (softcap !== undefined) checkNumber(`${origin}.softcap`, softcap, 1e-6, 1e6);
  if (qkNormEps !== undefined) checkNumber(`${origin}.qkNormEps`, qkNormEps, 0, 1);
  for (const key of ['bias', 'outBias'] as const)
    if (config[key] !== undefined) checkBoolean(`${origin}.${key}`, config[key]);
  if (rope === undefined) return;
  checkOptions(`${origin}.rope`, rope, ['theta', 'frequencies', 'rotaryDim', 'interleaved']);
  resolveRope({ shape: [1, 1, heads, headDim], dtype: 'float32' }, rope, `${origin}.rope`);
}
