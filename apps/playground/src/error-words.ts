import { type ErrorCode, isMambaError } from '@mamba/core';

/** What users of a page do about an error in place of its own remedy, which is for programs, by the error's code. */
export type Remedies = Partial<Readonly<Record<ErrorCode, string>>>;

/** An error in words, with what to do about it. */
export function errorWords(error: unknown, remedies: Remedies): string {
  if (!isMambaError(error)) return error instanceof Error ? error.message : String(error);
  const { code, message, remedy } = error;
  const ours = remedies[code];
  if (ours === undefined) return message;
  return remedy === undefined ? `${message}. ${ours}` : message.replace(remedy, () => ours);
}
