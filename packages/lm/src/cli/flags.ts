import { isMambaError, MambaError } from '@mamba/core';
import { type GenerateTokensOptions, resolveGeneration } from '../generate/options.ts';
import { StopStrings } from '../tokenizer/stop-strings.ts';

/** What stands before an option's name in the library's messages. */
const OPTION = /\b(?:session\.)?generate\.([a-zA-Z]+)/;

/**
 * Checks options as the library will, before a model is loaded; what depends on its vocabulary is checked then.
 * @throws MambaError `invalid-argument` by the flag's name.
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
 * The same error, where it is about an option, by the name that it has on the command line: `--top-p` for
 * `generate.topP`.
 */
export function byFlag(error: unknown): unknown {
  if (!isMambaError(error, 'invalid-argument')) return error;
  const name = OPTION.exec(error.origin ?? '')?.[1];
  if (name === undefined || name === 'prompt') return error;
  const flag = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  const { given, expected, remedy } = error;
  return new MambaError(error.code, `${flag} is not valid`, { origin: flag, given, expected, remedy, cause: error });
}

/** Whether the command line itself is to blame, rather than what it names. */
export function isUsageError(error: unknown): boolean {
  return isMambaError(error, 'invalid-argument') && error.origin?.startsWith('--') === true;
}

/** What may be meant by an argument that the command line cannot have, by commander's code for it. */
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
