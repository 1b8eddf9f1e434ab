import type { Backend, Tensor } from '@mamba/core';

export interface SmallOperands {
  /** `[rows, channels]` */
  readonly a: Tensor;
  /** `[rows, channels]` */
  readonly b: Tensor;
  /** `[channels]` */
  readonly weight: Tensor;
}

export interface SmallKernel {
  readonly name: string;
  readonly call: () => Tensor;
  /** Number of tensors of a's size that the operation reads and writes. */
  readonly tensors: number;
}

/** The norms, sums and products of elements that both backends are timed with. */
export function smallOperations(backend: Backend, { a, b, weight }: SmallOperands): readonly SmallKernel[] {
  return [
    { name: 'rmsNorm', call: () => backend.rmsNorm(a, { weight }), tensors: 2 },
    { name: 'layerNorm', call: () => backend.layerNorm(a, { weight, bias: weight }), tensors: 2 },
    { name: 'add', call: () => backend.add(a, b), tensors: 3 },
    { name: 'multiply', call: () => backend.multiply(a, b), tensors: 3 },
    { name: 'multiply with SiLU', call: () => backend.multiply(a, b, { activation: 'silu' }), tensors: 3 },
  ];
}
