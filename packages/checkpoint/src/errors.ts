import { MambaError } from '@mamba/core';

/** The error for a damaged file. `origin` names the file, and the tensor or field in it. */
export function damaged(
  origin: string,
  given: string,
  expected: string,
  remedy?: string | undefined,
  cause?: unknown,
): MambaError {
  return new MambaError('invalid-file', `${origin} cannot be used`, { origin, given, expected, remedy, cause });
}

/** The error for a valid file with a property that is not implemented. */
export function unsupported(origin: string, given: string, expected: string, remedy?: string | undefined): MambaError {
  return new MambaError('unsupported', `${origin} is not supported`, { origin, given, expected, remedy });
}

/** Quotes a name from a file, which may be long or hold any characters, and cuts it at 120 characters. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 120 ? `${text.slice(0, 119)}…` : text);
}

/** A JSON value as text for a message. */
export function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  // JSON has no infinity and no NaN.
  const text = typeof value === 'number' ? String(value) : (JSON.stringify(value, bigintAsText) ?? String(value));
  return text.length > 120 ? `${text.slice(0, 119)}…` : text;
}

/** Replaces bigints, which JSON does not have, by text. */
function bigintAsText(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}

/** Lists names for a message, at most eight of them. */
export function list(names: readonly string[]): string {
  const shown = names.slice(0, 8).map(quote).join(', ');
  return names.length > 8 ? `${shown} and ${names.length - 8} more` : shown;
}

/** Allocates bytes. Throws `out-of-memory` in place of the engine's RangeError. */
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

/** The reason of a failure in words. The errors of `fetch` have it in their cause. */
export function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  const { code, message } = (cause.cause ?? {}) as { readonly code?: unknown; readonly message?: unknown };
  const hidden = message || code;
  return hidden ? `${cause.message} (${String(hidden)})` : cause.message;
}
