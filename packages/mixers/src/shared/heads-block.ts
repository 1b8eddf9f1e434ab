/** What the blocks with heads have in common: sizes, checks, and the projections around the heads. */
import { type Backend, type BlockParameter, invalid, MambaError, type Tensor } from '@mamba/core';
import { checkInteger, type Scope } from '@mamba/core/toolkit';
import { joinHeads, splitHeads } from './tensors.ts';

/** What the configs of all blocks with heads have. */
export interface HeadsConfig {
  /** Heads, each with its own queries, keys and values. */
  readonly heads: number;
  /** Channels of a head. Default: dModel / heads. */
  readonly headDim?: number | undefined;
}

/** The weights of the projections; heads lie one after the other. */
export type HeadsWeights = {
  /** `[heads * headDim, dModel]` */
  readonly qProj: Tensor;
  /** `[heads * headDim, dModel]` */
  readonly kProj: Tensor;
  /** `[heads * headDim, dModel]` */
  readonly vProj: Tensor;
  /** `[dModel, heads * headDim]` */
  readonly outProj: Tensor;
};

/** Channels of a head. */
export function headDimOf({ heads, headDim }: HeadsConfig, dModel: number): number {
  return headDim ?? dModel / heads;
}

/** @throws MambaError `invalid-argument` where heads do not divide the width and their own is not given. */
export function checkHeads(origin: string, config: HeadsConfig, dModel: number): void {
  checkInteger(`${origin}.heads`, config.heads, 1, 2 ** 16);
  if (config.headDim !== undefined) checkInteger(`${origin}.headDim`, config.headDim, 1, 2 ** 16);
  else if (dModel % config.heads !== 0)
    throw invalid(`${origin}.heads`, String(config.heads), `a divisor of dModel, ${dModel}`, 'Or give headDim.');
}

/** The projections. Those of queries and keys may have other channels a head than that of values. */
export function headsParameters(
  config: HeadsConfig,
  dModel: number,
  keyDim = headDimOf(config, dModel),
): readonly BlockParameter[] {
  const inner = config.heads * headDimOf(config, dModel);
  const keys = config.heads * keyDim;
  return [
    { key: 'qProj', shape: [keys, dModel], role: 'matrix' },
    { key: 'kProj', shape: [keys, dModel], role: 'matrix' },
    { key: 'vProj', shape: [inner, dModel], role: 'matrix' },
    { key: 'outProj', shape: [dModel, inner], role: 'matrix', training: { residual: true } },
  ];
}

/** Queries, keys and values `[batch, length, heads, channels]`, owned by `scope`. */
export function project(
  backend: Backend,
  scope: Scope,
  x: Tensor,
  { qProj, kProj, vProj }: HeadsWeights,
  heads: number,
): readonly [q: Tensor, k: Tensor, v: Tensor] {
  const one = (weight: Tensor): Tensor => splitHeads(backend, scope, scope.own(backend.linear(x, weight)), heads);
  return [one(qProj), one(kProj), one(vProj)];
}

/** The output of the block from that of the heads. The caller owns it. */
export function projectBack(
  backend: Backend,
  scope: Scope,
  y: Tensor,
  { outProj }: Pick<HeadsWeights, 'outProj'>,
): Tensor {
  return backend.linear(joinHeads(backend, scope, y), outProj);
}

/**
 * Refuses what a kind cannot do whose tokens depend on those that come later: to go on from a state, and packed
 * sequences.
 * @throws MambaError `unsupported`
 */
export function checkWhole(
  kind: string,
  { positions, resets }: { readonly positions: readonly number[]; readonly resets: Tensor | undefined },
): void {
  const fed = positions.find((position) => position > 0);
  if (fed === undefined && resets === undefined) return;
  throw new MambaError('unsupported', `${kind} takes whole sequences and keeps no state`, {
    origin: kind,
    given: fed === undefined ? 'resets' : `a sequence that goes on after ${fed} tokens`,
    expected: 'one sequence a row, in one call',
    remedy: 'Feed each sequence whole and in a row of its own, or take a kind that keeps a state.',
  });
}
