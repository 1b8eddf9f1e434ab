import { damaged, show } from '../errors.ts';
import { leftOut, type WarningListener, warnOnConsole } from '../warnings.ts';

/** Ids with a meaning, as the files of a checkpoint give them. */
export interface SpecialTokens {
  readonly bos: number | undefined;
  /** Generation ends at any of these. */
  readonly eos: readonly number[];
}

/** A file that names some: `bos_token_id`, an id; `eos_token_id`, an id or several. What is no object names none. */
export interface SpecialTokenFile {
  /** For messages. */
  readonly origin: string;
  readonly json: unknown;
}

/**
 * What several files say together: text ends at the ids of all of them, and begins with that of the last that names
 * one. An id that the vocabulary does not have is left out, with a warning: a larger model's is often left behind in a
 * smaller one's files.
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
        onWarning(leftOut(place, damaged(place, show(value), `an id from 0 to ${vocabSize - 1}`)));
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
