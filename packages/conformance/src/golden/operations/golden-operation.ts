/** Describes how golden files hold an operation. */
import type { OperationName } from '@mamba/core';
import type { Named, Tolerance } from '../../cases/case.ts';
import { damaged } from '../golden-file.ts';

export interface GoldenOperation {
  readonly operation: OperationName;
  /** The contract's name of each input, by its name in files. Gradients have these names too. */
  readonly inputs: Readonly<Record<string, string>>;
  /** The required inputs, by their names in files. */
  readonly required: readonly string[];
  /** The contract's name of each result, by its name in files. The first one is required. */
  readonly outputs: Readonly<Record<string, string>>;
  readonly tolerance: Tolerance;
  /**
   * The options of a case, from its entry in the file.
   * @throws MambaError `invalid-file` on an unknown or wrong option.
   */
  options(entry: Readonly<Record<string, unknown>>, origin: string): Options;
  /** The arguments of the operation, from its named inputs and options. */
  arguments<T>(inputs: Named<T>, options: Options): unknown[];
  /** Optional. The sizes of the tensors, by the names under which an entry may give them. */
  sizes?: ((shapeOf: (input: string) => readonly number[]) => Readonly<Record<string, number | undefined>>) | undefined;
  /** The gradients of the operation; absent where the contract has none. */
  readonly gradients?: GoldenGradients | undefined;
}

export interface GoldenGradients {
  readonly operation: OperationName;
  readonly tolerance: Tolerance;
  /** The input whose gradient a backward operation of a single result returns. */
  readonly result?: string | undefined;
  /** The arguments of the backward operation, from the named inputs, the options, and the cotangents by name. */
  arguments<T>(inputs: Named<T>, options: Options, cotangents: Named<T>): unknown[];
}

export type Options = Readonly<Record<string, unknown>>;

/**
 * An option of an entry that is one of `words`; the first of them by default.
 * @throws MambaError `invalid-file` on any other value.
 */
export function wordOf(entry: Options, key: string, words: readonly string[], origin: string): string {
  const { [key]: given = words[0] } = entry;
  if (typeof given === 'string' && words.includes(given)) return given;
  throw damaged(`${origin}: ${key}`, String(given), words.join(', '));
}
