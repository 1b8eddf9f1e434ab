import {
  type AdamwRates,
  type AdamwStep,
  adamwRates,
  type Backend,
  type HostTensor,
  invalid,
  MambaError,
  type Tensor,
} from '@mamba/core';
import { checkNumber, checkOptions, disposeAll, sameShape } from '@mamba/core/toolkit';
import type { TrainedParameter } from '../model/trainable.ts';
import { filled } from '../tape/filled.ts';

/** AdamW's constants, which stay the same in all steps. */
export interface OptimiserOptions {
  /** Default 0.9. */
  readonly beta1?: number | undefined;
  /** Default 0.95, as language models are trained. */
  readonly beta2?: number | undefined;
  /** Default 1e-8. */
  readonly eps?: number | undefined;
  /** Decoupled decay of those parameters that decay: matrices, but no norms, biases, A or D. Default 0.1. */
  readonly weightDecay?: number | undefined;
  /** The largest norm of all gradients together; Infinity for no limit. Default 1. */
  readonly maxNorm?: number | undefined;
}

/** What an optimiser remembers of one parameter. */
export interface Moments {
  readonly first: Tensor;
  readonly second: Tensor;
}

/** Updates that are prepared once. */
export interface CapturedUpdate {
  /** Bytes that it holds until it is disposed. */
  readonly bytes: number;
  /** Whether the gradients, parameters and moments are all alive. */
  readonly usable: boolean;
  /** As `Optimiser.update`, by the present gradients. The norm belongs to the capture. */
  update(learningRate: number): Tensor;
  /** Frees the capture. */
  dispose(): void;
}

/** AdamW (arXiv 1711.05101) with clipping by the global norm (arXiv 1211.5063), on the device. */
export class Optimiser {
  readonly #moments: Map<string, Moments>;
  readonly #backend: Backend;
  readonly #parameters: readonly TrainedParameter[];
  readonly #options: Required<{ [K in keyof OptimiserOptions]: number }>;
  /** Number of updates so far. */
  step = 0;

  /** @throws MambaError `invalid-argument`, `out-of-memory` */
  constructor(backend: Backend, parameters: readonly TrainedParameter[], options: OptimiserOptions = {}) {
    checkOptions('optimiser', options, ['beta1', 'beta2', 'eps', 'weightDecay', 'maxNorm']);
    const { beta1 = 0.9, beta2 = 0.95, eps = 1e-8, weightDecay = 0.1, maxNorm = 1 } = options;
    for (const [name, value] of Object.entries({ beta1, beta2 }))
      checkNumber(`optimiser.${name}`, value, 0, 1 - 2 ** -24);
    checkNumber('optimiser.eps', eps, 0, 1);
    checkNumber('optimiser.weightDecay', weightDecay, 0, Number.MAX_VALUE);
    checkNumber('optimiser.maxNorm', maxNorm, 0, Number.POSITIVE_INFINITY);
    this.#backend = backend;
    this.#parameters = parameters.filter(({ trained }) => trained);
    if (this.#parameters.length === 0) throw invalid('optimiser.parameters', 'none that is trained', 'at least one');
    this.#options = { beta1, beta2, eps, weightDecay, maxNorm };
    const moments = new Map<string, Moments>();
    try {
      for (const { name, shape } of this.#parameters) {
        const first = filled(backend, shape, 0);
        moments.set(name, { first, second: first });
        moments.set(name, { first, second: filled(backend, shape, 0) });
      }
    } catch (error) {
      for (const { first, second } of moments.values()) disposeAll([first, second]);
      throw error;
    }
    this.#moments = moments;
  }

  /** By the name of the parameter. */
  get moments(): ReadonlyMap<string, Moments> {
    return this.#moments;
  }

  /**
   * Goes on with moments that were saved.
   * @param read Reads the moments of a parameter, one parameter at a time.
   * @param step Number of updates that they have seen.
   * @throws MambaError `invalid-file` where a shape is wrong, `out-of-memory`, and the errors of `read`. The optimiser
   * can only be disposed then.
   */
  async restore(
    read: (name: string) => Promise<{ readonly first: HostTensor; readonly second: HostTensor }>,
    step: number,
  ): Promise<void> {
    for (const { name, shape } of this.#parameters) {
      const saved = await read(name);
      for (const [moment, host] of Object.entries(saved))
        if (!sameShape(host.shape, shape))
          throw new MambaError('invalid-file', `the ${moment} moment of ${name} cannot be used`, {
            origin: name,
            given: `[${host.shape.join(', ')}]`,
            expected: `[${shape.join(', ')}]`,
          });
      const first = this.#backend.upload(saved.first);
      let second: Tensor;
      try {
        second = this.#backend.upload(saved.second);
      } catch (error) {
        first.dispose();
        throw error;
      }
      const before = this.#moments.get(name)!;
      this.#moments.set(name, { first, second });
      disposeAll([before.first, before.second]);
    }
    this.step = step;
  }

  /**
   * Writes one update to the parameters. Where the norm of the gradients is not finite, nothing is written; the caller
   * reads the norm and tells.
   * @param gradients By the name of the parameter. They stay the caller's.
   * @returns The norm before clipping, `[1]`, which the caller disposes.
   */
  update(gradients: ReadonlyMap<string, Tensor>, learningRate: number): Tensor {
    const step = this.step + 1;
    const norm = this.#write(gradients, { learningRate, step });
    this.step = step;
    return norm;
  }

  /**
   * Captures updates by these gradients, whose values change from one to the next. It is of use until moments are
   * restored.
   * @throws MambaError `unsupported` where the backend captures nothing.
   */
  capture(gradients: ReadonlyMap<string, Tensor>): CapturedUpdate {
    const backend = this.#backend;
    if (backend.capture === undefined)
      throw new MambaError('unsupported', `${backend.name} cannot capture an update`, {
        origin: 'optimiser.capture',
        remedy: 'Call update() for each step.',
      });
    const input = { shape: [3], dtype: backend.precision };
    const captured = backend.capture([input], ([rates]) => this.#write(gradients, { rates: rates! }));
    return {
      bytes: captured.bytes,
      get usable() {
        return captured.usable;
      },
      update: (learningRate) => {
        const step = this.step + 1;
        const rates = Float64Array.from(adamwRates({ ...this.#options, learningRate, step }));
        const norm = captured.replay([{ dtype: 'float64', shape: [3], data: rates }]);
        this.step = step;
        return norm;
      },
      dispose: () => captured.dispose(),
    };
  }

  /** Calls AdamW for each parameter that has a gradient. Returns the norm of the gradients. */
  #write(gradients: ReadonlyMap<string, Tensor>, rates: AdamwStep | AdamwRates<Tensor>): Tensor {
    const { beta1, beta2, eps, weightDecay, maxNorm } = this.#options;
    const updated = this.#parameters.filter(({ name }) => gradients.has(name));
    const norm = this.#backend.gradientNorm(updated.map(({ name }) => gradients.get(name)!));
    try {
      for (const { name, tensor, decay } of updated)
        this.#backend.adamw(tensor, gradients.get(name)!, this.moments.get(name)!, {
          ...rates,
          ...{ beta1, beta2, eps, norm },
          weightDecay: decay ? weightDecay : 0,
          maxNorm: maxNorm === Number.POSITIVE_INFINITY ? undefined : maxNorm,
        });
    } catch (error) {
      norm.dispose();
      throw error;
    }
    return norm;
  }

  /** Frees the moments. */
  dispose(): void {
    for (const { first, second } of this.moments.values()) disposeAll([first, second]);
  }
}
