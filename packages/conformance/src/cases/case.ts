/**
 * A case is one computation: the seed of its inputs, its sizes, and the error that a backend may make, with the reason.
 * Cases are independent of a backend. Conformance checks them, and the bench times what they prepare.
 */
import type {
  Backend,
  CallArguments,
  DType,
  HostTensor,
  OperationName,
  Precision,
  Support,
  Tensor,
  TensorSpec,
} from '@mamba/core';

/** A bound of the largest absolute error of a tensor, relative to its largest absolute reference value. */
export interface Tolerance {
  /**
   * The bound for float32 backends; float64 backends are held to `FLOAT64_TOLERANCE`. 0 means that every value is
   * equal.
   */
  readonly relative: number;
  readonly reason: string;
}

/** The sizes and options of a case by name, for reports. */
export type Sizes = Readonly<Record<string, number | string | boolean>>;
/** Results by name, on a backend. */
export type Outputs = Readonly<Record<string, Tensor>>;

/** A case on a backend, with its inputs and weights uploaded. */
export interface Prepared {
  /** Runs the computation once. It may be called again. The caller disposes the results. */
  run(): Outputs;
  /** Frees the inputs and weights. */
  dispose(): void;
}

/** A computation with its seed, sizes and tolerance, which any backend can be held to. */
export interface Case {
  /** The stem and the variant: `selective-scan/len129`. Unique in the suite; known gaps name cases by it. */
  readonly id: string;
  readonly operation: OperationName | 'block' | 'model';
  readonly seed: number;
  readonly sizes: Sizes;
  readonly tolerance: Tolerance;
  /**
   * Whether a backend may lack it: true for what only training needs and for weights in other dtypes. Every backend
   * must run all other cases.
   */
  readonly optional: boolean;
  /** Whether this backend can run the case. */
  supports(backend: Backend): Support;
  /** Uploads the inputs and weights, which are the same in every call. The caller disposes what it returns. */
  prepare(backend: Backend): Promise<Prepared>;
}

/** A host tensor, with the role and dtype of its upload. */
export interface Input {
  readonly host: HostTensor;
  readonly role?: 'matrix' | undefined;
  /**
   * The dtype to store it in. A backend that cannot store it does not support the case; the reference uses its own
   * precision.
   */
  readonly store?: DType | undefined;
}

/** Inputs by name, on the host. */
export type Inputs = Readonly<Record<string, Input>>;
/** Something by name. */
export type Named<T> = Readonly<Record<string, T>>;

/** A case of a single operation. */
export interface OperationCase<K extends OperationName = OperationName> extends Case {
  readonly operation: K;
  /** Makes the inputs; every call gives the same values. */
  build(): Inputs;
  /** The arguments of the operation, from its named tensors or their specs. */
  arguments<T extends TensorSpec>(tensors: Named<T>): unknown[];
  /** Calls the operation once. A single result is named `y`. */
  call(backend: Backend, tensors: Named<Tensor>): Outputs;
}

export interface OperationCaseDefinition<K extends OperationName> {
  readonly optional?: boolean | undefined;
  readonly operation: K;
  readonly id: string;
  readonly seed: number;
  readonly sizes: Sizes;
  readonly tolerance: Tolerance;
  build(): Inputs;
  arguments<T extends TensorSpec>(tensors: Named<T>): unknown[];
  /** Optional. Calls the operation; for one that writes in place, on copies. Default: calls it by its name. */
  call?(backend: Backend, tensors: Named<Tensor>): Outputs;
}

export function operationCase<K extends OperationName>(definition: OperationCaseDefinition<K>): OperationCase<K> {
  const { operation } = definition;
  const call =
    definition.call ??
    ((backend: Backend, tensors: Named<Tensor>): Outputs =>
      named(invoke(backend, operation, definition.arguments(tensors))));
  return {
    ...definition,
    optional: definition.optional ?? false,
    call,
    supports(backend) {
      const inputs = Object.entries(definition.build());
      for (const [, input] of inputs) {
        const support = backend.supportsUpload(input.host, { dtype: input.store, role: input.role });
        if (!support.supported) return support;
      }
      const specs = Object.fromEntries(
        inputs.map(([name, { host, store }]) => [name, specOnDevice(host, store, backend.precision)]),
      );
      return backend.supports(operation, ...(definition.arguments(specs) as CallArguments<K>));
    },
    async prepare(backend) {
      const tensors = uploadInputs(backend, definition.build());
      return {
        run: () => call(backend, tensors),
        dispose() {
          for (const tensor of Object.values(tensors)) tensor.dispose();
        },
      };
    },
  };
}

/** Uploads all inputs. If one fails, frees those before it. */
export function uploadInputs(backend: Backend, inputs: Inputs): Named<Tensor> {
  const tensors: Record<string, Tensor> = {};
  try {
    for (const [name, { host, role, store }] of Object.entries(inputs)) {
      const wanted = store !== undefined && backend.supportsUpload(host, { dtype: store, role }).supported;
      tensors[name] = backend.upload(host, { role, dtype: wanted ? store : undefined });
    }
    return tensors;
  } catch (error) {
    for (const tensor of Object.values(tensors)) tensor.dispose();
    throw error;
  }
}

/** The results of an operation by name: `y` for a single tensor. Absent gradients are left out. */
export function named(result: unknown): Outputs {
  if (isTensor(result)) return { y: result };
  return Object.fromEntries(Object.entries(result as Named<unknown>).filter(([, value]) => isTensor(value))) as Outputs;
}

/** Calls an operation by its name. */
export function invoke(backend: Backend, operation: OperationName, args: readonly unknown[]): unknown {
  const operations = backend as unknown as Record<OperationName, (...args: readonly unknown[]) => unknown>;
  return operations[operation](...args);
}

/**
 * The largest relative error of float64 backends, for every case whose bound for float32 is not 0. Their rounding is
 * 5e8 times finer.
 */
export const FLOAT64_TOLERANCE = 1e-11;

/** The bound of sums that a backend may form in any order: a few roundings of 6e-8 each, accumulated at random. */
export const ROUNDING: Tolerance = {
  relative: 1e-5,
  reason: 'float32 rounding of the inputs of each sum, in any order of summation',
};

export const EXACT: Tolerance = { relative: 0, reason: 'values are moved or chosen, not computed' };

function isTensor(value: unknown): value is Tensor {
  return typeof value === 'object' && value !== null && 'shape' in value && 'dtype' in value;
}

function specOnDevice(host: HostTensor, store: DType | undefined, precision: Precision): TensorSpec {
  if (host.dtype !== 'int32') return { shape: host.shape, dtype: store ?? precision };
  let min = host.data[0]!;
  let max = min;
  for (const value of host.data) {
    min = Math.min(min, value);
    max = Math.max(max, value);
  }
  return { shape: host.shape, dtype: 'int32', range: { min, max } };
}
