import { invalid } from '../contract/errors.ts';
import type { AdamwMoments, AdamwOptions } from '../contract/operations.ts';
import { sizeOf, type TensorSpec } from '../contract/tensor.ts';
import { checkActivation, checkDType, checkExact, checkInteger, checkNumber, checkOptions } from './check.ts';
import { lastAxis } from './shapes.ts';

/**
 * One step of AdamW with decoupled decay (arXiv 1711.05101, algorithm 2), element by element and in place:
 *
 *     g = gradient min(1, maxNorm / (norm + 1e-6))
 *     first = beta1 first + (1 - beta1) g                    second = beta2 second + (1 - beta2) g²
 *     parameter = parameter (1 - learningRate weightDecay)
 *               - learningRate (first / (1 - beta1^step)) / (sqrt(second / (1 - beta2^step)) + eps)
 *
 * parameter, gradient and both moments have one shape and dtype, and norm is `[1]`. Nothing is written where norm is
 * not finite, so a gradient that is not a number spoils neither parameters nor moments.
 * @throws MambaError `invalid-argument` on a wrong shape, dtype or option.
 */
export interface AdamwCall<T> {
  readonly parameter: T;
  readonly gradient: T;
  readonly first: T;
  readonly second: T;
  readonly norm: T | undefined;
  /** Infinity where there is no limit. */
  readonly maxNorm: number;
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  readonly weightDecay: number;
  readonly step: number;
  readonly size: number;
}

const OPTIONS = ['learningRate', 'step', 'beta1', 'beta2', 'eps', 'weightDecay', 'norm', 'maxNorm'] as const;
/** The largest number below 1 that float32 holds. */
const BELOW_ONE = 1 - 2 ** -24;

export function resolveAdamw<T extends TensorSpec>(
  parameter: T,
  gradient: T,
  moments: AdamwMoments<T>,
  options: AdamwOptions<T>,
): { call: AdamwCall<T>; outputs: undefined } {
  checkOptions('adamw.options', options, OPTIONS);
  checkOptions('adamw.moments', moments, ['first', 'second']);
  const { learningRate, step, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weightDecay = 0, norm, maxNorm } = options;
  const { first, second } = moments;
  lastAxis('adamw.parameter', parameter);
  checkActivation('adamw.parameter', parameter);
  for (const [name, tensor] of [
    ['gradient', gradient],
    ['moments.first', first],
    ['moments.second', second],
  ] as const) {
    checkExact(`adamw.${name}`, tensor, parameter.shape, 'as the parameter');
    checkDType(`adamw.${name}`, tensor, parameter.dtype);
  }
  if (norm !== undefined) {
    checkExact('adamw.norm', norm, [1], 'as gradientNorm returns it');
    checkDType('adamw.norm', norm, parameter.dtype);
  } else if (maxNorm !== undefined)
    throw invalid('adamw.maxNorm', 'no norm', 'the norm beside it', 'Pass norm: gradientNorm(gradients).');
  checkNumber('adamw.learningRate', learningRate, 0, Number.MAX_VALUE);
  checkInteger('adamw.step', step, 1);
  checkNumber('adamw.beta1', beta1, 0, BELOW_ONE);
  checkNumber('adamw.beta2', beta2, 0, BELOW_ONE);
  checkNumber('adamw.eps', eps, 0, 1);
  checkNumber('adamw.weightDecay', weightDecay, 0, Number.MAX_VALUE);
  if (maxNorm !== undefined) checkNumber('adamw.maxNorm', maxNorm, 0, Number.MAX_VALUE);
  return {
    call: {
      parameter,
      gradient,
      first,
      second,
      norm,
      maxNorm: maxNorm ?? Number.POSITIVE_INFINITY,
      learningRate,
      beta1,
      beta2,
      eps,
      weightDecay,
      step,
      size: sizeOf(parameter.shape),
    },
    outputs: undefined,
  };
}
