import { isMambaError, MambaError } from '@mamba/core';
import { reasonOf } from './errors.ts';

/**
 * Hears of what was left out, or done without, of a checkpoint that loads all the same: an error that was not thrown.
 */
export type WarningListener = (warning: MambaError) => void;

/** Where nobody listens, so that nothing is left out in silence. */
export const warnOnConsole: WarningListener = (warning) => console.warn(warning.message);

/** That something is left out, and why: with what was given and expected, where the reason says so. */
export function leftOut(what: string, reason: unknown, remedy?: string): MambaError {
  if (!isMambaError(reason))
    return new MambaError('invalid-file', `${what} is left out: ${reasonOf(reason)}`, { origin: what, remedy });
  const { code, message, given, expected } = reason;
  return new MambaError(code, given === undefined ? `${what} is left out: ${message}` : `${what} is left out`, {
    ...{ origin: what, given, expected, cause: reason },
    remedy: remedy ?? (given === undefined ? undefined : reason.remedy),
  });
}
