import { isMambaError, MambaError } from '@mamba/core';
import { type GenerateTokensOptions, resolveGeneration } from '../generate/options.ts';
import type { SamplingOptions } from '../sampling/options.ts';
import { StopStrings } from '../tokenizer/stop-strings.ts';

/** An option's name in the library's messages. */
const OPTION = /\b(?:session\.)?generate\.([a-zA-Z]+)/;

/**
 * Checks options before a model is loaded, as the library does; checks that depend on the vocabulary come later.
 * @throws MambaError `invalid-argument`, which names the flag.
 */
export function checkSampling({
  stop = [],
  ...options
}: GenerateTokensOptions & { readonly stop?: readonly string[] }): void {
  try {
    new StopStrings(stop);
    resolveGeneration({ config: { vocabSize: Number.MAX_SAFE_INTEGER } }, options);
  } catch (error) {
    throw byFlag(error);
  }
}

/**
 * Renames the option of an error to its flag: `--top-p` for `generate.topP`. Returns other errors as they are.
 */
export function byFlag(error: unknown): unknown {
  if (!isMambaError(error, 'invalid-argument')) return error;
  const name = error.origin === 'store' ? 'store' : OPTION.exec(error.origin ?? '')?.[1];
  if (name === undefined || name === 'prompt') return error;
  const flag = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  const { given, expected, remedy } = error;
  return new MambaError(error.code, `${flag} is not valid`, { origin: flag, given, expected, remedy, cause: error });
}

/** What is drawn on a terminal where nothing is asked for: the likeliest tokens soon repeat themselves. */
const DRAWN = { temperature: 0.8, topP: 0.95 };

/**
 * Completes the options of sampling. On a terminal tokens are drawn by default, with a seed that is told; for a file or
 * a program the likeliest are taken, so that the output is the same each time.
 */
export function withDefaults<T extends SamplingOptions & { readonly seed?: number | undefined }>(
  options: T,
  interactive: boolean,
): T & { readonly temperature: number; readonly seed?: number | undefined } {
  const { temperature = interactive ? DRAWN.temperature : 0, seed = interactive ? shortSeed() : undefined } = options;
  if (!interactive || temperature === 0) return { ...options, temperature };
  const filters = [options.topK, options.topP, options.minP, options.typicalP];
  const own = options.temperature !== undefined || filters.some((filter) => filter !== undefined);
  return { ...options, ...(!own && { topP: DRAWN.topP }), temperature, ...(seed !== undefined && { seed }) };
}

/** The flags that give the same text again; undefined if nothing was drawn. */
export function repeatBy({
  temperature,
  topP,
  seed,
}: Pick<SamplingOptions, 'topP'> & {
  readonly temperature: number;
  readonly seed?: number | undefined;
}): string | undefined {
  if (temperature === 0 || seed === undefined) return undefined;
  return `--temperature ${temperature}${topP === undefined ? '' : ` --top-p ${topP}`} --seed ${seed}`;
}

/** A seed that is typed quickly. */
function shortSeed(): number {
  return crypto.getRandomValues(new Uint16Array(1))[0]!;
}

/** Whether the command line itself is wrong, rather than a file that it names. */
export function isUsageError(error: unknown): boolean {
  return isMambaError(error, 'invalid-argument') && error.origin?.startsWith('--') === true;
}

/** A hint for an error of the command line. @param code Commander's code of the error. */
export function usageHint(code: string, args: readonly string[]): string | undefined {
  if (code === 'commander.excessArguments') return 'A prompt, or a name, of several words has to be in quotes.';
  if (code === 'commander.missingArgument' && args.some((arg) => LISTS.includes(arg)))
    return `${LISTS.join(', ')} take all that follows: put -- before the prompt, as in --stop X -- 'And God said'.`;
  // No option has a space in its name, and none but -5 and the like begins as those do that are no words.
  const dashed = args.find((arg) => /^-[^=]*\s/.test(arg) || /^-\d/.test(arg));
  if (dashed !== undefined) return `A prompt that begins with a dash goes behind --, as in -- '${dashed}'.`;
  return undefined;
}

const LISTS: readonly string[] = ['--stop', '--stop-ids', '--logit-bias'];
