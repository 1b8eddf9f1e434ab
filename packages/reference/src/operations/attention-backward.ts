import type { AttentionGradients } from '@mamba/core';
import type { AttentionBackwardCall } from '@mamba/core/driver';
import { floats, type Input, newFloats, type Storage } from '../storage.ts';
import { keyAt, scoreOf, visibleKeys } from './attention.ts';

/**
 * With P = exp(score - logSumExp), Δ = dy · y - dLogSumExp and dS = P (dy · v - Δ) cap': `dq = scale Σ_j dS k`,
 * `dk = scale Σ_i dS q` and `dv = Σ_i P dy`.
 */
export function attentionBackward(call: AttentionBackwardCall<Input>): AttentionGradients<Storage> {
  const { scale, batch, queries, keys, heads, kvHeads, headDim } = call;
  const [q, k, v] = [floats(call.q), floats(call.k), floats(call.v)];
  const [y, logSumExp] = [floats(call.y), floats(call.logSumExp)];
  const [dy, dLogSumExp] = [floats(call.dy), floats(call.dLogSumExp)];
  const dq = newFloats(batch * queries * heads * headDim);
  const dk = newFloats(batch * keys * kvHeads * headDim);
  const dv = newFloats(batch * keys * kvHeads * headDim);
  for (let b = 0; b < batch; b++)
    for (let i = 0; i < queries; i++)
      for (let h = 0; h < heads; h++) {
        const row = (b * queries + i) * heads + h;
        const query = row * headDim;
        let delta = -(dLogSumExp?.[row] ?? 0);
        for (let c = 0; c < headDim; c++) delta += dy[query + c]! * y[query + c]!;
        for (const j of visibleKeys(call, b, i)) {
          const { score, slope } = scoreOf(call, b, i, h, j);
          const p = Math.exp(score - logSumExp[row]!);
          const key = keyAt(call, b, j, h);
          let dp = 0;
          for (let c = 0; c < headDim; c++) dp += dy[query + c]! * v[key + c]!;
          const ds = scale * slope * p * (dp - delta);
          for (let c = 0; c < headDim; c++) {
            dq[query + c]! += ds * k[key + c]!;
            dk[key + c]! += ds * q[query + c]!;
            dv[key + c]! += p * dy[query + c]!;
          }
        }
      }
  return { q: dq, k: dk, v: dv };
}
