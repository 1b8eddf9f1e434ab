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

/** The same error, where it is about an option, by the name that it has on the command line: `--top-p` for `generate.topP`. */
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
