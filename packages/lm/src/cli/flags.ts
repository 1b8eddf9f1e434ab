import { isMambaError, MambaError } from '@mamba/core';
import { type GenerateTokensOptions, resolveGeneration } from '../generate/options.ts';
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
  const name = OPTION.exec(error.origin ?? '')?.[1];
  if (name === undefined || name === 'prompt') return error;
  const flag = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  const { given, expected, remedy } = error;
  return new MambaError(error.code, `${flag} is not valid`, { origin: flag, given, expected, remedy, cause: error });
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
  // No option has a space in its name.
  const dashed = args.find((arg) => /^-[^=]*\s/.test(arg));
  if (code === 'commander.unknownOption' || dashed !== undefined)
    return `A prompt that begins with a dash goes behind --, as in -- '${dashed ?? '-5 degrees'}'.`;
  return undefined;
}

const LISTS: readonly string[] = ['--stop', '--stop-ids', '--logit-bias'];
