import { damaged, show } from '../errors.ts';
import { leftOutWarning, type WarningListener, warnOnConsole } from '../warnings.ts';

/** Ids of tokens with a special meaning. */
export interface SpecialTokens {
  readonly bos: number | undefined;
  /** Generation ends at any of these. */
  readonly eos: readonly number[];
}

/**
 * A file that may name special tokens: `bos_token_id` is an id, `eos_token_id` one id or several. Content that is no
 * object names none.
 */
export interface SpecialTokenFile {
  /** The name of the file, for messages. */
  readonly origin: string;
  readonly json: unknown;
}

/**
 * The special tokens by several files: a text ends at any of their ids, and begins with the id of the last file that
 * names one. Ids outside the vocabulary are left out, with a warning; files of small models often have ids of larger
 * ones.
 */
export function parseSpecialTokens(
  vocabSize: number,
  files: readonly SpecialTokenFile[],
  onWarning: WarningListener = warnOnConsole,
): SpecialTokens {
  let bos: number | undefined;
  const eos = new Set<number>();
  for (const { origin, json } of files) {
    const fields = (typeof json === 'object' && json !== null ? json : {}) as Readonly<Record<string, unknown>>;
    const ids = (name: string): readonly number[] =>
      listed(fields[name]).filter((value): value is number => {
        if (isId(value, vocabSize)) return true;
        const place = `${origin}: ${name}`;
        onWarning(leftOutWarning(place, damaged(place, show(value), `an id from 0 to ${vocabSize - 1}`)));
        return false;
      });
    bos = ids('bos_token_id')[0] ?? bos;
    for (const id of ids('eos_token_id')) eos.add(id);
  }
  return { bos, eos: [...eos] };
}

function listed(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : value === undefined || value === null ? [] : [value];
}

function isId(value: unknown, vocabSize: number): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) < vocabSize;
}
