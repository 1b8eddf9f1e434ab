/**
 * The block of S4D, as its authors' minimal implementation has it: with v = gelu(s4d(x)) and a, b = out_proj(v),
 *
 *     y = a sigmoid(b)
 *
 * The scan is an operation of the contract, with kernels on every backend.
 */
import { type BlockDefinition, defineBlock, type S4dDiscretization, type Tensor } from '@mamba/core';
import { checkInteger, checkOneOf, checkOptions, scoped } from '@mamba/core/toolkit';
import { imaginaryParts, LOG_STEPS, realParts, S4D_INITIALISATIONS, type S4dInitialisation } from './initial.ts';
import { planesOf } from './planes.ts';

declare module '@mamba/core' {
  interface BlockKinds {
    s4d: S4dConfig;
  }
}

/** The config of a block of kind `s4d` (arXiv 2206.11893). */
export interface S4dConfig {
  /** States of a channel; a complex one stands for itself and its conjugate. */
  readonly dState: number;
  /** How A begins, and with `real` also that it is real. Default `lin`. */
  readonly initialisation?: S4dInitialisation | undefined;
  /** Default `zoh`. */
  readonly discretization?: S4dDiscretization | undefined;
}

/** Makes the kind `s4d` known. Call it before the first model with such blocks is made. */
export function defineS4d(): void {
  defineBlock('s4d', definition);
}

type Weights = {
  /** `[dModel]`: the logarithm of the step size. */
  readonly logDt: Tensor;
  /** `[dModel, dState]`: the real parts of A, negative. */
  readonly ARe: Tensor;
  /** `[dModel, dState]`: its imaginary parts; absent where A is real. */
  readonly AIm?: Tensor;
  /** `[dModel, dState]` */
  readonly CRe: Tensor;
  /** `[dModel, dState]` */
  readonly CIm?: Tensor;
  /** `[dModel]` */
  readonly D: Tensor;
  /** `[2 dModel, dModel]`: the rows of a, then those of b. */
  readonly outProj: Tensor;
  /** `[2 dModel]` */
  readonly outProjBias: Tensor;
};

const definition: BlockDefinition<S4dConfig> = {
  defaults: { initialisation: 'lin', discretization: 'zoh' },
  check(origin, config) {
    checkOptions(origin, config, ['kind', 'dState', 'initialisation', 'discretization']);
    checkInteger(`${origin}.dState`, config.dState, 1, 2 ** 16);
    if (config.initialisation !== undefined)
      checkOneOf(`${origin}.initialisation`, config.initialisation, S4D_INITIALISATIONS);
    if (config.discretization !== undefined)
      checkOneOf(`${origin}.discretization`, config.discretization, ['zoh', 'bilinear']);
  },
  parameters({ dState, initialisation = 'lin' }, dModel) {
    const shape = [dModel, dState];
    // Each part has half of the variance of a number of variance 1.
    const part = { kind: 'normal', deviation: initialisation === 'real' ? 1 : Math.SQRT1_2 } as const;
    return [
      { key: 'logDt', shape: [dModel], role: 'vector', training: { initial: LOG_STEPS } },
      {
        key: 'ARe',
        shape,
        role: 'vector',
        training: { form: 'negative-exp', initial: realParts(initialisation) },
      },
      ...(initialisation === 'real'
        ? []
        : [
            {
              key: 'AIm',
              shape,
              role: 'vector',
              training: { initial: imaginaryParts(initialisation, dState) },
            } as const,
          ]),
      { key: 'CRe', shape, role: 'vector', training: { initial: part } },
      ...(initialisation === 'real'
        ? []
        : [{ key: 'CIm', shape, role: 'vector', training: { initial: part } } as const]),
      { key: 'D', shape: [dModel], role: 'vector', training: { initial: { kind: 'normal', deviation: 1 } } },
      { key: 'outProj', shape: [2 * dModel, dModel], role: 'matrix', training: { residual: true } },
      { key: 'outProjBias', shape: [2 * dModel], role: 'vector' },
    ];
  },
  state: ({ dState, initialisation = 'lin' }, dModel) => [
    { name: 'ssm', shape: initialisation === 'real' ? [dModel, dState] : [2, dModel, dState] },
  ],
  compose(backend, { discretization }, weights) {
    const { logDt, ARe, AIm, CRe, CIm, D, outProj, outProjBias } = weights as Weights;
    return {
      forward: ({ x, state, resets }) =>
        scoped((scope) => {
          const dModel = x.shape[2]!;
          const dt = scope.own(backend.multiply(logDt, undefined, { activation: 'exp' }));
          const A = planesOf(backend, scope, ARe, AIm);
          const C = planesOf(backend, scope, CRe, CIm);
          const options = { D, initialState: state?.ssm, resets, discretization };
          const scan = backend.s4d(x, dt, A, C, options);
          const [y, ssm] = [scope.own(scan.y), scope.own(scan.lastState)];
          const activated = scope.own(backend.multiply(y, undefined, { activation: 'gelu' }));
          const projected = scope.own(backend.linear(activated, outProj, outProjBias));
          const value = scope.own(backend.slice(projected, 2, 0, dModel));
          const gate = scope.own(backend.slice(projected, 2, dModel, 2 * dModel));
          const gated = backend.multiply(gate, value, { activation: 'sigmoid' });
          return { y: gated, state: { ssm: scope.release(ssm) } };
        }),
    };
  },
};
