import { scoped } from '../../backend/scope.ts';
import type { Backend } from '../../contract/backend.ts';
import type { Tensor } from '../../contract/tensor.ts';
import type { BlockCall, BlockKernel, BlockResult } from '../contract.ts';
import { type Mamba2Config, mamba2Widths } from './config.ts';
import type { Mamba2Weights } from './parameters.ts';

/** The block composed of the backend's operations. At most a few activations are alive at a time. */
export function composeMamba2(backend: Backend, config: Mamba2Config, weights: Mamba2Weights<Tensor>): BlockKernel {
  return { forward: (call) => forward(backend, config, weights, call) };
}

function forward(
  backend: Backend,
  config: Mamba2Config,
  weights: Mamba2Weights<Tensor>,
  { x, state, resets }: BlockCall,
): BlockResult {
  const { groups = 1, norm = true, normEps, normBeforeGate } = config;
  const { dInner, groupStates, conv: convWidth, projected: width } = mamba2Widths(config);
  return scoped((scope) => {
    const projected = scope.own(backend.linear(x, weights.inProj, weights.inProjBias));
    const z = scope.own(backend.slice(projected, 2, 0, dInner));
    const inner = scope.own(backend.slice(projected, 2, dInner, dInner + convWidth));
    const dt = scope.own(backend.slice(projected, 2, dInner + convWidth, width));
    scope.drop(projected);

    const conv = backend.causalConv1d(inner, weights.conv, weights.convBias, {
      activation: 'silu',
      initialState: state?.conv,
      resets,
    });
    const mixed = scope.own(conv.y);
    const convState = scope.own(conv.lastState);
    scope.drop(inner);
    const u = scope.own(backend.slice(mixed, 2, 0, dInner));
    const B = scope.own(backend.slice(mixed, 2, dInner, dInner + groupStates));
    const C = scope.own(backend.slice(mixed, 2, dInner + groupStates, convWidth));
    scope.drop(mixed);

    const scan = backend.ssdScan(u, dt, weights.A, B, C, {
      D: weights.D,
      z: norm ? undefined : z,
      dtBias: weights.dtBias,
      dtSoftplus: true,
      dtLimits: limitsOf(config),
      groups,
      initialState: state?.ssm,
      resets,
    });
    const scanned = scope.own(scan.y);
    const ssmState = scope.own(scan.lastState);
    const gated = norm
      ? scope.own(
          backend.gatedRmsNorm(scanned, z, {
            weight: weights.norm,
            eps: normEps,
            groupSize: dInner / groups,
            normBeforeGate,
          }),
        )
      : scanned;
    const y = backend.linear(gated, weights.outProj, weights.outProjBias);
    return { y, state: { conv: scope.release(convState), ssm: scope.release(ssmState) } };
  });
}

function limitsOf({
  dtMin = 0,
  dtMax = Number.POSITIVE_INFINITY,
}: Mamba2Config): readonly [number, number] | undefined {
  return dtMin === 0 && dtMax === Number.POSITIVE_INFINITY ? undefined : [dtMin, dtMax];
}
