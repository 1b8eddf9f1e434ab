import { type AdamwConstants, adamwRates, type Backend, type Shape, type Tensor, type TensorSpec } from '@mamba/core';
import { Random } from '../random.ts';
import { type Named, type OperationCase, type Outputs, operationCase, type Tolerance } from './case.ts';
import { floats, normals } from './host.ts';

/** Sizes and options of a case of `adamw`: one update of a parameter of `shape`. */
export interface AdamwCaseOptions extends Partial<Omit<AdamwConstants<never>, 'norm'>> {
  readonly shape: Shape;
  readonly learningRate?: number | undefined;
  readonly step?: number | undefined;
  /** Whether learning rate and step are passed as a tensor of rates. Default false. */
  readonly rates?: boolean | undefined;
  /** The norm that is passed. Default: none. */
  readonly norm?: number | undefined;
  /** The standard deviation of the gradient. Default 1. */
  readonly scale?: number | undefined;
  readonly id?: string | undefined;
  readonly seed?: number | undefined;
}

/** One update of a parameter: its new values and moments. Inputs are copied first, so that a case can run again. */
export function adamwCase(options: AdamwCaseOptions): OperationCase<'adamw'> {
  const { shape, norm, scale = 1, id, seed = 1, learningRate = 1e-2, step = 3, rates = false, ...rest } = options;
  const inputs = <T extends TensorSpec>(tensors: Named<T>): unknown[] => [
    tensors.parameter,
    tensors.gradient,
    { first: tensors.first, second: tensors.second },
    { ...rest, ...(rates ? { rates: tensors.rates } : { learningRate, step }), norm: tensors.norm },
  ];
  return operationCase({
    operation: 'adamw',
    optional: true,
    id: `adamw/${id ?? shape.join('x')}`,
    seed,
    sizes: { shape: shape.join('x'), step, norm: norm ?? 'none', scale },
    tolerance: UPDATE,
    build() {
      const random = new Random(seed);
      const first = normals(random, shape, 0.1 * scale);
      return {
        parameter: { host: normals(random, shape) },
        gradient: { host: normals(random, shape, scale) },
        first: { host: first },
        second: { host: floats(shape, () => (0.1 * scale * random.normal()) ** 2) },
        ...(norm !== undefined && { norm: { host: floats([1], () => norm) } }),
        ...(rates && {
          rates: {
            host: {
              ...{ dtype: 'float64' as const, shape: [3] },
              data: Float64Array.from(adamwRates({ ...rest, learningRate, step })),
            },
          },
        }),
      };
    },
    arguments: inputs,
    call(backend: Backend, tensors: Named<Tensor>): Outputs {
      const copy = (tensor: Tensor): Tensor => backend.slice(tensor, 0, 0, tensor.shape[0]!);
      const written: Record<string, Tensor> = {};
      try {
        for (const name of ['parameter', 'first', 'second']) written[name] = copy(tensors[name]!);
        backend.adamw(...(inputs({ ...tensors, ...written }) as Parameters<Backend['adamw']>));
        return written;
      } catch (error) {
        for (const tensor of Object.values(written)) tensor.dispose();
        throw error;
      }
    },
  });
}

const UPDATE: Tolerance = {
  relative: 1e-6,
  reason: 'some ten roundings of float32 for each element by itself, and the rounding of the options to float32',
};
