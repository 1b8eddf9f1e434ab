/** What the suite has to know of an operation to check it against golden files. */
import type { OperationName } from '@mamba/core';
import type { Named, Tolerance } from '../../cases/case.ts';
import { damaged } from '../golden-file.ts';

export interface GoldenOperation {
  readonly operation: OperationName;
  /** Inputs by their names in files, with ours. Gradients are of these. */
  readonly inputs: Readonly<Record<string, string>>;
  /** Those inputs (names in files) without which there is no call. */
  readonly required: readonly string[];
  /** Results by their names in files, with ours. The first has to be there. */
  readonly outputs: Readonly<Record<string, string>>;
  readonly tolerance: Tolerance;
  /**
   * The options of a case, from its entry in the file.
   * @throws MambaError `invalid-file`
   */
  options(entry: Readonly<Record<string, unknown>>, origin: string): Options;
  /** Named inputs, and options, to the operation's arguments. */
  arguments<T>(inputs: Named<T>, options: Options): unknown[];
  /** Sizes that the tensors have, by the names under which an entry may tell them. */
  sizes?: ((shapeOf: (input: string) => readonly number[]) => Readonly<Record<string, number | undefined>>) | undefined;
  /** Absent where the contract has none of this operation. */
  readonly gradients?: GoldenGradients | undefined;
}

export interface GoldenGradients {
  readonly operation: OperationName;
  readonly tolerance: Tolerance;
  /** As the forward call's, and the cotangents of its outputs by their names. */
  arguments<T>(inputs: Named<T>, options: Options, cotangents: Named<T>): unknown[];
}

export type Options = Readonly<Record<string, unknown>>;

/** One of these words, or the first where the entry says nothing. @throws MambaError `invalid-file` */
export function wordOf(entry: Options, key: string, words: readonly string[], origin: string): string {
  const { [key]: given = words[0] } = entry;
  if (typeof given === 'string' && words.includes(given)) return given;
  throw damaged(`${origin}: ${key}`, String(given), words.join(', '));
}
