/** Attention with a cache of keys and values, as state slots, for kinds that are composed of the operation. */
import type { Backend, BlockCall, BlockState, StateSlot, Tensor } from '@mamba/core';
import { offsetsOf, type Scope } from '@mamba/core/toolkit';
import { filled } from './tensors.ts';

export interface CachedAttentionOptions {
  readonly window?: number | undefined;
  readonly globalTokens?: number | undefined;
  readonly scale?: number | undefined;
  /** The most tokens that the cache holds. Default: no limit. */
  readonly kept?: number | undefined;
}

/**
 * The slots: keys and values of the tokens before, and the number of tokens of each row's sequence.
 * @param channels Channels of a head.
 */
export function cacheSlots(
  heads: number,
  channels: { readonly k: number; readonly v: number },
  kept: number | undefined,
): readonly StateSlot[] {
  return [
    { name: 'k', shape: ['length', heads, channels.k], window: kept },
    { name: 'v', shape: ['length', heads, channels.v], window: kept },
    { name: 'reach', shape: [1, 1] },
  ];
}

/**
 * Causal attention of new tokens to themselves and to those of the cache, all owned by `scope`. The cache is copied
 * with the new tokens behind it. Rows of unequal age have caches of unequal length, which are filled up.
 * @param q `[batch, length, heads, channels]`, as k and v.
 * @param widen Optional. Makes what the operation takes of joined keys. Default: they are taken as they are.
 */
export function cachedAttention(
  backend: Backend,
  scope: Scope,
  { state, positions, resets, batch, length }: BlockCall,
  { q, k, v }: { readonly q: Tensor; readonly k: Tensor; readonly v: Tensor },
  { window, globalTokens, scale, kept = Number.POSITIVE_INFINITY }: CachedAttentionOptions,
  widen: (keys: Tensor) => Tensor = (keys) => keys,
): { readonly y: Tensor; readonly state: BlockState } {
  const held = positions.map((position) => Math.min(position, kept));
  const reach = reachOf(backend, scope, batch, length, state?.reach, resets);
  const keys = extended(backend, scope, state?.k, k, held, kept);
  const values = extended(backend, scope, state?.v, v, held, kept);
  const offsets = offsetsOf(backend, scope, held);
  // Rows of one age have keys of one length.
  const after = held.map((count) => count + length);
  const keyLengths = offsets.offsets === undefined ? undefined : integers(backend, scope, after);
  const options = { window, globalTokens, scale, reach: reach.y, ...offsets, keyLengths };
  const { y, logSumExp } = backend.attention(q, widen(keys.all), values.all, options);
  scope.own(logSumExp);
  return { y: scope.own(y), state: { k: keys.kept, v: values.kept, reach: reach.lastState } };
}

/**
 * The tokens of each row's sequence up to each token: a scan that forgets nothing counts them. y is a quarter more, so
 * that no rounding takes a token away.
 */
function reachOf(
  backend: Backend,
  scope: Scope,
  batch: number,
  length: number,
  initialState: Tensor | undefined,
  resets: Tensor | undefined,
): { readonly y: Tensor; readonly lastState: Tensor } {
  const ones = filled(backend, scope, [batch, length, 1], 1);
  const one = filled(backend, scope, [1, 1], 1);
  const still = filled(backend, scope, [1, 1], 0);
  const quarter = filled(backend, scope, [1], 0.25);
  const { y, lastState } = backend.selectiveScan(ones, ones, still, one, one, { D: quarter, initialState, resets });
  return { y: scope.own(y), lastState: scope.own(lastState) };
}

/** The cache with the new tokens behind it, and what is kept of that: both filled up with zeros to the longest row. */
function extended(
  backend: Backend,
  scope: Scope,
  cache: Tensor | undefined,
  fresh: Tensor,
  held: readonly number[],
  kept: number,
): { readonly all: Tensor; readonly kept: Tensor } {
  const length = fresh.shape[1]!;
  const cut = (x: Tensor, axis: number, start: number, end: number): Tensor =>
    scope.own(backend.slice(x, axis, start, end));
  const join = (parts: readonly Tensor[], axis: number): Tensor => scope.own(backend.concat(parts, axis));
  // Rows of one age are one part, and otherwise each row is one.
  const alike = held.every((count) => count === held[0]);
  const parts = alike ? [held[0]!] : held;
  const most = Math.max(...parts) + length;
  const padded = (x: Tensor, tokens: number): Tensor => {
    const missing = tokens - x.shape[1]!;
    return missing === 0 ? x : join([x, filled(backend, scope, x.shape.with(1, missing), 0)], 1);
  };
  const rows = parts.map((count, row) => {
    const own = alike ? fresh : cut(fresh, 0, row, row + 1);
    if (count === 0) return own;
    const old = alike ? cache! : cut(cache!, 0, row, row + 1);
    return join([cut(old, 1, 0, count), own], 1);
  });
  const all = join(
    rows.map((row) => padded(row, most)),
    0,
  );
  const ends = rows.map((row) => cut(row, 1, Math.max(0, row.shape[1]! - kept), row.shape[1]!));
  const left = join(
    ends.map((row) => padded(row, Math.min(most, kept))),
    0,
  );
  return { all, kept: left };
}

function integers(backend: Backend, scope: Scope, values: readonly number[]): Tensor {
  return scope.own(backend.upload({ dtype: 'int32', shape: [values.length], data: Int32Array.from(values) }));
}
