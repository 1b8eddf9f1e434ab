/**
 * The parts that families with Mamba-2 blocks have in common: the names of the block's tensors in both formats, and
 * reasons why a format cannot express a block.
 */
import type { BlockConfig, Mamba2Config, Shape } from '@mamba/core';
import { mamba2Widths } from '@mamba/core/toolkit';
import type { Fields } from '../../config/fields.ts';
import { damaged, show } from '../../errors.ts';
import type { SpecialEntry } from '../table.ts';
import { GGUF_MIXER, MIXER } from './mamba-block.ts';

type Entries = Readonly<Record<string, string | SpecialEntry>>;

/** The tensors of a Mamba-2 block, by the names of its modules in PyTorch. Most are named as in a Mamba block. */
export const MIXER2: Entries = {
  ...without(MIXER, 'block.xProj', 'block.dtProj'),
  'block.dtBias': 'dt_bias',
  'block.norm': 'norm.weight',
};

/** The tensors of a Mamba-2 block with this number of groups, by llama.cpp's names. */
export function ggufMixer2(groups: number): Entries {
  const { 'block.A': A, ...others } = without(GGUF_MIXER, 'block.xProj', 'block.dtProj');
  return {
    ...others,
    'block.A': { ...(A as SpecialEntry), shape: column },
    'block.D': { name: 'ssm_d', shape: column },
    'block.norm': { name: 'ssm_norm.weight', shape: ([channels]) => [groups, channels! / groups] },
  };
}

/** What files say of a block, whatever their format. */
export interface Mamba2Sizes
  extends Pick<Mamba2Config, 'heads' | 'headDim' | 'dState' | 'dConv' | 'projectionBias' | 'convBias'> {
  readonly groups: number;
  /** Absent where there is no norm. */
  readonly normEps?: number | undefined;
}

/**
 * A block of these sizes, whose gate comes before its norm unless `more` says otherwise.
 * @throws MambaError `invalid-file` at `origin` where the groups do not share the heads evenly.
 */
export function mamba2Block(
  origin: string,
  sizes: Mamba2Sizes,
  more: Partial<Mamba2Config> = {},
): BlockConfig<'mamba2'> {
  const { heads, groups } = sizes;
  if (heads % groups !== 0) throw damaged(origin, show(groups), `a number of groups that divides the heads, ${heads}`);
  return { kind: 'mamba2', ...sizes, ...more };
}

/** The limits of the step size: `[smallest, largest]`, where the largest may be infinite. */
export function readLimits(fields: Fields, name: string): Pick<Mamba2Config, 'dtMin' | 'dtMax'> {
  const limits = fields.floats(name, 2) ?? [0, Number.POSITIVE_INFINITY];
  const [dtMin, dtMax] = limits as [number, number];
  if (!(dtMin >= 0 && dtMin <= dtMax && dtMin < Number.POSITIVE_INFINITY))
    throw damaged(fields.origin(name), `[${limits.join(', ')}]`, 'a smallest step of at least 0, and a larger one');
  return { ...(dtMin > 0 && { dtMin }), ...(dtMax < Number.POSITIVE_INFINITY && { dtMax }) };
}

/** The limits as a pair for a `config.json`; undefined where there are none. */
export function limitsJson({
  dtMin = 0,
  dtMax = Number.POSITIVE_INFINITY,
}: Mamba2Config): readonly unknown[] | undefined {
  if (dtMin === 0 && dtMax === Number.POSITIVE_INFINITY) return undefined;
  // JSON has no infinity; transformers writes it so.
  return [dtMin, dtMax === Number.POSITIVE_INFINITY ? { __float__: 'Infinity' } : dtMax];
}

/** The channels of the scan. */
export function innerOf(block: Mamba2Config): number {
  return mamba2Widths(block).dInner;
}

/** The reason why a block is not gated first and then normalised with this eps, in words; undefined where it is. */
export function gateRefusal({ norm, normBeforeGate, normEps = 1e-5 }: Mamba2Config, eps: number): string | undefined {
  if (norm === false) return 'has a gate without a norm';
  if (normBeforeGate) return 'has a norm before the gate';
  return normEps === eps ? undefined : `has a gated norm of eps ${normEps}, not ${eps}`;
}

function column([heads]: Shape): Shape {
  return [heads!, 1];
}

function without(entries: Entries, ...keys: readonly string[]): Record<string, string | SpecialEntry> {
  return Object.fromEntries(Object.entries(entries).filter(([key]) => !keys.includes(key)));
}
