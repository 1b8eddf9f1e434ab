import type { Backend, HostTensor, Tensor } from '@mamba/core';

type Named<T> = Readonly<Record<string, T>>;

/** A case of a golden file. */
export interface GoldenCase {
  /** The inputs, by their names in the file, without cotangents. */
  readonly inputs: Named<HostTensor>;
  /** The options, as the file's metadata hold them. */
  readonly options: Readonly<Record<string, unknown>>;
}

/**
 * A computation that golden files may name. @mamba/conformance uploads the inputs, runs it on a tape for the gradients,
 * and compares; it takes any package's compositions, so this type has its own declaration there.
 */
export interface GoldenComposition {
  /** The names of the inputs that every case has. */
  readonly required: readonly string[];
  /**
   * Optional. Functions of the values of inputs that the computation takes instead of them, where the contract has no
   * operation for that: f, and f' for the gradients. Default: none.
   */
  readonly forms?:
    | Named<{
        /** f(x) */
        value(x: number): number;
        /** f'(x) */
        slope(x: number): number;
      }>
    | undefined;
  /** The results by their names in files, which the caller disposes. */
  compute(backend: Backend, inputs: Named<Tensor>, given: GoldenCase): Named<Tensor>;
}
