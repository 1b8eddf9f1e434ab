import { scoped } from '../../backend/scope.ts';
import type { Backend } from '../../contract/backend.ts';
import type { Tensor } from '../../contract/tensor.ts';
import type { BlockCall, BlockKernel, BlockResult } from '../contract.ts';
import type { MambaConfig } from './config.ts';
import type { MambaWeights } from './parameters.ts';

/** The block composed of the backend's operations. At most a few activations are alive at a time. */
export function composeMamba(backend: Backend, config: MambaConfig, weights: MambaWeights<Tensor>): BlockKernel {
  return { forward: (call) => forward(backend, config, weights, call) };
}

function forward(
  backend: Backend,
  config: MambaConfig,
  weights: MambaWeights<Tensor>,
  { x, state, resets }: BlockCall,
): BlockResult {
  const { dInner, dState, dtRank, mixerNormEps } = config;
  return scoped((scope) => {
    const xz = scope.own(backend.linear(x, weights.inProj, weights.inProjBias));
    const inner = scope.own(backend.slice(xz, 2, 0, dInner));
    const z = scope.own(backend.slice(xz, 2, dInner, 2 * dInner));
    scope.drop(xz);

    const conv = backend.causalConv1d(inner, weights.conv, weights.convBias, {
      activation: 'silu',
      initialState: state?.conv,
      resets,
    });
    const u = scope.own(conv.y);
    const convState = scope.own(conv.lastState);
    scope.drop(inner);

    const projected = scope.own(backend.linear(u, weights.xProj));
    const part = (start: number, end: number, weight: Tensor | undefined): Tensor => {
      const cut = scope.own(backend.slice(projected, 2, start, end));
      return mixerNormEps === undefined ? cut : scope.own(backend.rmsNorm(cut, { weight, eps: mixerNormEps }));
    };
    const dt = part(0, dtRank, weights.dtNorm);
    const B = part(dtRank, dtRank + dState, weights.BNorm);
    const C = part(dtRank + dState, dtRank + 2 * dState, weights.CNorm);

    // dt_proj runs without its bias here: the scan adds it, as deltaBias.
    const delta = scope.own(backend.linear(dt, weights.dtProj));
    const scan = backend.selectiveScan(u, delta, weights.A, B, C, {
      D: weights.D,
      z,
      deltaBias: weights.dtBias,
      deltaSoftplus: true,
      initialState: state?.ssm,
      resets,
    });
    const gated = scope.own(scan.y);
    const ssmState = scope.own(scan.lastState);
    const y = backend.linear(gated, weights.outProj, weights.outProjBias);
    return { y, state: { conv: scope.release(convState), ssm: scope.release(ssmState) } };
  });
}
