/**
 * A Mamba block whose scan does not depend on its input: delta, B and C are parameters (S4D-Real, arXiv 2206.11893, in
 * the block of arXiv 2312.00752, figure 3). It is what selection is compared with: everything else is the same.
 */
import {
  type Backend,
  type BlockDefinition,
  type BlockKernel,
  type BlockWeights,
  defineBlock,
  type Tensor,
} from '@mamba/core';
import { checkInteger, checkOptions, scoped } from '@mamba/core/toolkit';

declare module '@mamba/core' {
  interface BlockKinds {
    'time-invariant': TimeInvariantConfig;
  }
}

/** The config of a block of kind `time-invariant`: Mamba's block with a scan that does not vary with the input. */
export interface TimeInvariantConfig {
  /** Number of channels of the scan, usually 2 dModel. */
  readonly dInner: number;
  /** Number of states of each channel. */
  readonly dState: number;
  /** Width of the causal convolution, in tokens. */
  readonly dConv: number;
}

/** Makes the kind known. Call it before the first model with such blocks is made. */
export function defineTimeInvariant(): void {
  defineBlock('time-invariant', timeInvariant);
}

const ONE = { kind: 'constant', value: 1 } as const;

const timeInvariant: BlockDefinition<TimeInvariantConfig> = {
  check(origin, config) {
    checkOptions(origin, config, ['kind', 'dInner', 'dState', 'dConv']);
    for (const key of ['dInner', 'dState'] as const) checkInteger(`${origin}.${key}`, config[key], 1, 2 ** 24);
    checkInteger(`${origin}.dConv`, config.dConv, 2, 2 ** 16);
  },
  parameters({ dInner, dState, dConv }, dModel) {
    const taps = { kind: 'uniform', bound: 1 / Math.sqrt(dConv) } as const;
    return [
      { key: 'inProj', shape: [2 * dInner, dModel], role: 'matrix' },
      { key: 'conv', shape: [dInner, dConv], role: 'vector', training: { initial: taps, decay: true } },
      { key: 'convBias', shape: [dInner], role: 'vector', training: { initial: taps } },
      // softplus of this is delta.
      {
        key: 'dtBias',
        shape: [dInner],
        role: 'vector',
        training: { initial: { kind: 'steps', smallest: 1e-3, largest: 1e-1 } },
      },
      {
        key: 'A',
        shape: [dInner, dState],
        role: 'vector',
        training: { form: 'negative-exp', initial: { kind: 'ramp' } },
      },
      { key: 'B', shape: [dInner, dState], role: 'vector', training: { initial: ONE } },
      { key: 'C', shape: [dInner, dState], role: 'vector', training: { initial: { kind: 'normal', deviation: 1 } } },
      { key: 'D', shape: [dInner], role: 'vector', training: { initial: ONE } },
      { key: 'outProj', shape: [dModel, dInner], role: 'matrix', training: { residual: true } },
    ];
  },
  state: ({ dInner, dState, dConv }) => [
    { name: 'conv', shape: [dInner, dConv - 1] },
    { name: 'ssm', shape: [dInner, dState] },
  ],
  compose: (backend, config, weights) => compose(backend, config, weights),
};

function compose(backend: Backend, { dInner }: TimeInvariantConfig, weights: BlockWeights<Tensor>): BlockKernel {
  const { inProj, conv, convBias, dtBias, A, B, C, D, outProj } = weights as Readonly<Record<string, Tensor>>;
  return {
    forward: ({ x, state, resets }) =>
      scoped((scope) => {
        const xz = scope.own(backend.linear(x, inProj!));
        const inner = scope.own(backend.slice(xz, 2, 0, dInner));
        const z = scope.own(backend.slice(xz, 2, dInner, 2 * dInner));
        const mixed = backend.causalConv1d(inner, conv!, convBias, {
          activation: 'silu',
          initialState: state?.conv,
          resets,
        });
        const [u, convState] = [scope.own(mixed.y), scope.own(mixed.lastState)];
        // delta is its bias alone, the same at every step.
        const delta = scope.own(backend.multiply(u, undefined, { scale: 0 }));
        const scan = backend.selectiveScan(u, delta, A!, B!, C!, {
          D,
          z,
          deltaBias: dtBias,
          deltaSoftplus: true,
          initialState: state?.ssm,
          resets,
        });
        const [gated, ssm] = [scope.own(scan.y), scope.own(scan.lastState)];
        return {
          y: backend.linear(gated, outProj!),
          state: { conv: scope.release(convState), ssm: scope.release(ssm) },
        };
      }),
  };
}
