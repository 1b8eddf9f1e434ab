import { type ErrorCode, isMambaError } from '@mamba/core';

/**
 * An error in words, with what to do about it.
 * @param remedies By code, what users of the page do in place of the error's own remedy, which is for programs.
 */
export function errorWords(error: unknown, remedies: Partial<Readonly<Record<ErrorCode, string>>>): string {
  if (!isMambaError(error)) return error instanceof Error ? error.message : String(error);
  const { code, message, remedy } = error;
  const ours = remedies[code];
  if (ours === undefined) return message;
  return remedy === undefined ? `${message}. ${ours}` : message.replace(remedy, () => ours);
}
