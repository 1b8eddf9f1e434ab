/** Describes cases of golden files that are more than one operation, or none of a backend. */
import type { Backend, HostTensor, Shape } from '@mamba/core';
import { MambaError } from '@mamba/core';
import type { Named, Tolerance } from '../../cases/case.ts';
import { type Arena, withArena } from '../../invariants/arena.ts';
import type { Skipped } from '../../runner/check.ts';
import { damaged } from '../golden-file.ts';

export interface GoldenProcedure {
  /** The required inputs, by their names in files. */
  readonly required: readonly string[];
  readonly tolerance: Tolerance;
  /**
   * Computes the results and the gradients of a case, by their names in files.
   * @throws MambaError `invalid-file` on an unknown or wrong option.
   */
  run(given: ProcedureCase): Promise<ProcedureResults | Skipped>;
}

export interface ProcedureCase {
  readonly backend: Backend;
  readonly inputs: Named<HostTensor>;
  readonly entry: Readonly<Record<string, unknown>>;
  readonly origin: string;
}

export interface ProcedureResults {
  readonly out: Named<Result>;
  readonly grad: Named<Result>;
}

export interface Result {
  readonly shape: Shape;
  readonly data: ArrayLike<number>;
}

/** A number of an entry. @throws MambaError `invalid-file` where there is none. */
export function numberOf({ entry, origin }: ProcedureCase, key: string): number {
  const value = entry[key];
  if (typeof value !== 'number') throw damaged(`${origin}: ${key}`, String(value), 'a number');
  return value;
}

/**
 * Runs a computation with an arena that owns its tensors, and returns the reason where this backend lacks an operation
 * of it.
 */
export async function whereSupported<R>(
  { backend }: Pick<ProcedureCase, 'backend'>,
  compute: (arena: Arena) => Promise<R>,
): Promise<R | Skipped> {
  try {
    return await withArena(backend, compute);
  } catch (error) {
    if (error instanceof MambaError && error.code === 'unsupported') return { skipped: error.message };
    throw error;
  }
}
