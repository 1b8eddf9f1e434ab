/** Tensors of states that are known to hold zeros alone, so that a block may skip what they would change nothing of. */
import { memoryOf } from '../backend/handle.ts';
import type { Tensor } from '../contract/tensor.ts';

const zeros = new WeakSet<object>();

/** Notes that a tensor holds zeros. Nothing may write to it then. */
export function noteZeros(tensor: Tensor): Tensor {
  const memory = memoryOf(tensor);
  if (memory !== undefined) zeros.add(memory);
  return tensor;
}

/** Whether a tensor is known to hold zeros. */
export function isZero(tensor: Tensor | undefined): boolean {
  const memory = tensor && memoryOf(tensor);
  return memory !== undefined && zeros.has(memory);
}
