import { isMambaError, MambaError } from '@mamba/core';
import { reasonOf } from './errors.ts';

/**
 * Called for each part of a checkpoint that was left out or is missing, while the checkpoint loads nevertheless. The
 * warning is an error that was not thrown.
 */
export type WarningListener = (warning: MambaError) => void;

/** The default listener, so that nothing is left out silently. */
export const warnOnConsole: WarningListener = (warning) => console.warn(warning.message);

/**
 * The warning that something is left out, with the reason, and with the given and expected values if the reason has
 * them.
 */
export function leftOutWarning(what: string, reason: unknown, remedy?: string): MambaError {
  if (!isMambaError(reason))
    return new MambaError('invalid-file', `${what} is left out: ${reasonOf(reason)}`, { origin: what, remedy });
  const { code, message, given, expected } = reason;
  return new MambaError(code, given === undefined ? `${what} is left out: ${message}` : `${what} is left out`, {
    ...{ origin: what, given, expected, cause: reason },
    remedy: remedy ?? (given === undefined ? undefined : reason.remedy),
  });
}
