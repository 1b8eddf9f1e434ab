/**
 * A kind of block that @mamba/core does not know: LFM2's gated short convolution. With B, C, x = in_proj(input),
 *
 *     y = out_proj(C ⊙ conv(B ⊙ x)),
 *
 * where conv is causal and works on each channel by itself. It is composed of operations that every backend has, so it
 * runs on all of them, and in one model with every other kind.
 */
import { type Backend, type BlockDefinition, type BlockKernel, defineBlock, type Tensor } from '@mamba/core';
import { checkInteger, checkOptions, scoped } from '@mamba/core/toolkit';

declare module '@mamba/core' {
  interface BlockKinds {
    'short-conv': ShortConvConfig;
  }
}

export interface ShortConvConfig {
  /** Taps of the convolution. */
  readonly width: number;
}

type Weights = {
  /** `[3 dModel, dModel]`: rows of B, then of C, then of x. */
  readonly inProj: Tensor;
  /** `[dModel, width]` */
  readonly conv: Tensor;
  /** `[dModel, dModel]` */
  readonly outProj: Tensor;
};

/** Makes the kind known. Call it before the first model with such blocks is made. */
export function defineShortConv(): void {
  defineBlock('short-conv', shortConv);
}

const shortConv: BlockDefinition<ShortConvConfig> = {
  check(origin, config) {
    checkOptions(origin, config, ['kind', 'width']);
    checkInteger(`${origin}.width`, config.width, 2, 2 ** 16);
  },
  parameters: ({ width }, dModel) => [
    { key: 'inProj', shape: [3 * dModel, dModel], role: 'matrix' },
    {
      key: 'conv',
      shape: [dModel, width],
      role: 'vector',
      training: { initial: { kind: 'uniform', bound: 1 / Math.sqrt(width) }, decay: true },
    },
    { key: 'outProj', shape: [dModel, dModel], role: 'matrix', training: { residual: true } },
  ],
  // The inputs of the convolution that later tokens see, newest last.
  state: ({ width }, dModel) => [{ name: 'conv', shape: [dModel, width - 1] }],
  compose: (backend, _, weights) => compose(backend, weights as Weights),
};

function compose(backend: Backend, { inProj, conv, outProj }: Weights): BlockKernel {
  return {
    // A scope frees what it owns, whether the block returns or throws; what is released goes to the caller.
    forward: ({ x: input, state, resets }) =>
      scoped((scope) => {
        const dModel = input.shape[2]!;
        const projected = scope.own(backend.linear(input, inProj));
        const part = (index: number): Tensor =>
          scope.own(backend.slice(projected, 2, index * dModel, (index + 1) * dModel));
        const gated = scope.own(backend.multiply(part(0), part(2)));
        const mixed = backend.causalConv1d(gated, conv, undefined, { initialState: state?.conv, resets });
        const convolved = scope.own(mixed.y);
        const lastState = scope.own(mixed.lastState);
        const y = backend.linear(scope.own(backend.multiply(part(1), convolved)), outProj);
        return { y, state: { conv: scope.release(lastState) } };
      }),
  };
}
