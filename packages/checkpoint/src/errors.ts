import { MambaError } from '@mamba/core';

/** `origin` names the file, and the tensor or field in it. */
export function damaged(
  origin: string,
  given: string,
  expected: string,
  remedy?: string | undefined,
  cause?: unknown,
): MambaError {
  return new MambaError('invalid-file', `${origin} cannot be used`, { origin, given, expected, remedy, cause });
}

/** A file that is well as it is, of what is not there. */
export function unsupported(origin: string, given: string, expected: string, remedy?: string | undefined): MambaError {
  return new MambaError('unsupported', `${origin} is not supported`, { origin, given, expected, remedy });
}

/** Names out of a file may be long or hold anything: quoted, and cut at 120 characters. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 120 ? `${text.slice(0, 119)}…` : text);
}

/** A JSON value for a message. */
export function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  // JSON has no word for infinity and NaN.
  const text = typeof value === 'number' ? String(value) : (JSON.stringify(value, wide) ?? String(value));
  return text.length > 120 ? `${text.slice(0, 119)}…` : text;
}

/** Nor for integers of 64 bits. */
function wide(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}

/** At most eight of many names. */
export function list(names: readonly string[]): string {
  const shown = names.slice(0, 8).map(quote).join(', ');
  return names.length > 8 ? `${shown} and ${names.length - 8} more` : shown;
}

/** Allocates, turning the engine's RangeError into `out-of-memory`. */
export function allocate(origin: string, bytes: number): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(bytes);
  } catch (cause) {
    throw new MambaError('out-of-memory', `${origin} does not fit into memory`, {
      origin,
      given: `${bytes} bytes in one piece`,
      cause,
    });
  }
}

/** Why something failed, in words; `fetch` hides it in the cause of its error. */
export function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  const { code, message } = (cause.cause ?? {}) as { readonly code?: unknown; readonly message?: unknown };
  const hidden = message || code;
  return hidden ? `${cause.message} (${String(hidden)})` : cause.message;
}
