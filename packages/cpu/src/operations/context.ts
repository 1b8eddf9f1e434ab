import { MambaError } from '@mamba/core';
import type { Calls, DeviceTensor } from '@mamba/core/driver';
import type { KernelExports } from '../generated/exports.ts';
import type { Heap } from '../memory/heap.ts';
import type { Storage } from '../memory/storage.ts';
import type { Team } from '../program/program.ts';

/** The heap, kernels and threads that every operation works with. */
export interface Context {
  readonly heap: Heap;
  readonly wasm: KernelExports;
  readonly team: Team;
  /** Whether tiles have the form that V8's revectorisation takes. */
  readonly wide: boolean;
}

export type Stored = DeviceTensor<Storage>;
export type Call<K extends keyof Calls<Stored>> = Calls<Stored>[K];

/** Bytes of an element of float32 and int32, which all tensors but matrices have. */
export const ELEMENT = 4;

/** The address of a row-major tensor; to the kernels, 0 stands for an absent one. */
export function addressOf(tensor: Stored | undefined): number {
  if (tensor === undefined) return 0;
  const { layout = 'rows' } = tensor.storage;
  if (layout !== 'rows') {
    throw new MambaError('unsupported', 'cpu takes a matrix as the weight of linear and the table of embedding only', {
      origin: 'cpu',
      given: `a tensor uploaded as a matrix, [${tensor.shape.join(', ')}]`,
      remedy: "Upload it without role: 'matrix' to use it elsewhere.",
    });
  }
  return tensor.storage.address;
}
