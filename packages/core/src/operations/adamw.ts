import { invalid } from '../contract/errors.ts';
import type { AdamwMoments, AdamwOptions, AdamwStep } from '../contract/operations.ts';
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
 * not finite, so a gradient that is not a number spoils neither parameters nor moments. The terms with learningRate and
 * step are three rates, which may be given as a tensor `[3]`.
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
  readonly rates: Rates | T;
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  readonly weightDecay: number;
  readonly size: number;
}

/** learningRate, learningRate / (1 - beta1^step), 1 / (1 - beta2^step) */
export type Rates = readonly [learningRate: number, first: number, second: number];

/**
 * What changes from update to update of `adamw`, for its option `rates`.
 * @param step The number of the update, from 1.
 */
export function adamwRates({
  learningRate,
  step,
  beta1 = BETA1,
  beta2 = BETA2,
}: AdamwStep & { readonly beta1?: number | undefined; readonly beta2?: number | undefined }): Rates {
  checkNumber('adamw.learningRate', learningRate, 0, Number.MAX_VALUE);
  checkInteger('adamw.step', step, 1);
  return [learningRate, learningRate / (1 - beta1 ** step), 1 / (1 - beta2 ** step)];
}

const BETA1 = 0.9;
const BETA2 = 0.999;
const OPTIONS = ['learningRate', 'step', 'rates', 'beta1', 'beta2', 'eps', 'weightDecay', 'norm', 'maxNorm'] as const;
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
  const { beta1 = BETA1, beta2 = BETA2, eps = 1e-8, weightDecay = 0, norm, maxNorm } = options;
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
      rates: ratesOf(parameter, options),
      beta1,
      beta2,
      eps,
      weightDecay,
      size: sizeOf(parameter.shape),
    },
    outputs: undefined,
  };
}

/** The rates that were given, or those of the step. */
function ratesOf<T extends TensorSpec>(parameter: T, options: AdamwOptions<T>): Rates | T {
  const { rates, learningRate, step, beta1, beta2 } = options;
  // What is absent here is refused there.
  if (rates === undefined) return adamwRates({ learningRate: learningRate!, step: step!, beta1, beta2 });
  if (learningRate !== undefined || step !== undefined)
    throw invalid('adamw.rates', 'learningRate or step beside it', 'one or the other', 'Leave the numbers out.');
  checkExact('adamw.rates', rates, [3], 'as adamwRates returns them');
  checkDType('adamw.rates', rates, parameter.dtype);
  return rates;
}
