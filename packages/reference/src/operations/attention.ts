import type { AttentionResult } from '@mamba/core';
import type { AttentionCall } from '@mamba/core/driver';
import { floats, type Input, integers, newFloats, type Storage } from '../storage.ts';

/** `y_i = Σ_j exp(score(i, j) - logSumExp_i) v_j` over the keys j that query i sees, for each row and head. */
export function attention(call: AttentionCall<Input>): AttentionResult<Storage> {
  const { batch, queries, heads, headDim } = call;
  const v = floats(call.v);
  const y = newFloats(batch * queries * heads * headDim);
  const logSumExp = newFloats(batch * queries * heads);
  for (let b = 0; b < batch; b++)
    for (let i = 0; i < queries; i++)
      for (let h = 0; h < heads; h++) {
        const seen = visibleKeys(call, b, i);
        const scores = seen.map((j) => scoreOf(call, b, i, h, j).score);
        const most = scores.reduce((largest, score) => Math.max(largest, score), Number.NEGATIVE_INFINITY);
        const total = scores.reduce((sum, score) => sum + Math.exp(score - most), 0);
        const row = (b * queries + i) * heads + h;
        logSumExp[row] = seen.length === 0 ? Number.NEGATIVE_INFINITY : most + Math.log(total);
        for (const [index, j] of seen.entries()) {
          const p = Math.exp(scores[index]! - most) / total;
          const value = keyAt(call, b, j, h);
          for (let c = 0; c < headDim; c++) y[row * headDim + c]! += p * v[value + c]!;
        }
      }
  return { y, logSumExp };
}

type Masked = Pick<
  AttentionCall<Input>,
  'segments' | 'keyLengths' | 'offsets' | 'reach' | 'causal' | 'window' | 'globalTokens' | 'offset' | 'queries' | 'keys'
>;

/** The keys that query i of a row sees, in order. */
export function visibleKeys(call: Masked, b: number, i: number): number[] {
  const { causal, window, globalTokens, queries, keys } = call;
  const position = (integers(call.offsets)?.[b] ?? call.offset) + i;
  const reach = floats(call.reach)?.[b * queries + i];
  const first = reach === undefined ? 0 : position + 1 - reach;
  const end = Math.min(keys, integers(call.keyLengths)?.[b] ?? keys, causal ? position + 1 : keys);
  const segments = integers(call.segments);
  const seen: number[] = [];
  for (let j = Math.max(0, Math.ceil(first)); j < end; j++) {
    if (window !== undefined && Math.abs(position - j) >= window && j >= first + globalTokens) continue;
    if (segments !== undefined) {
      const own = position >= 0 && position < keys ? segments[b * keys + position] : undefined;
      if (segments[b * keys + j] !== own) continue;
    }
    seen.push(j);
  }
  return seen;
}

/** The capped score of a query and a key, and its derivative by the score before the cap. */
export function scoreOf(
  call: AttentionCall<Input>,
  b: number,
  i: number,
  h: number,
  j: number,
): { readonly score: number; readonly slope: number } {
  const { scale, softcap, queries, heads, headDim } = call;
  const [q, k] = [floats(call.q), floats(call.k)];
  const query = ((b * queries + i) * heads + h) * headDim;
  const key = keyAt(call, b, j, h);
  let product = 0;
  for (let c = 0; c < headDim; c++) product += q[query + c]! * k[key + c]!;
  const score = scale * product;
  if (softcap === undefined) return { score, slope: 1 };
  const t = Math.tanh(score / softcap);
  return { score: softcap * t, slope: 1 - t * t };
}

/** The place of key j, or of its value, that head h reads. */
export function keyAt(
  { keys, heads, kvHeads, headDim }: AttentionCall<Input>,
  b: number,
  j: number,
  h: number,
): number {
  return ((b * keys + j) * kvHeads + Math.floor((h * kvHeads) / heads)) * headDim;
}
