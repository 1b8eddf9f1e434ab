import type { Calls, DeviceTensor } from '@mamba/core/driver';
import type { Block } from '../memory/allocator.ts';
import type { Heap } from '../memory/heap.ts';
import type { KernelExports } from '../wasm/exports.ts';

/** What every operation works with. */
export interface Context {
  readonly heap: Heap;
  readonly wasm: KernelExports;
}

export type Stored = DeviceTensor<Block>;
export type Call<K extends keyof Calls<Stored>> = Calls<Stored>[K];

/** Bytes of an element: float32 and int32 are all that is stored. */
export const ELEMENT = 4;

/** The kernels' notion of an absent tensor is address 0. */
export function addressOf(tensor: Stored | undefined): number {
  return tensor?.storage.address ?? 0;
}
