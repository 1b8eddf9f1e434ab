/**
 * The messages between a page and a worker of its own. A call is answered once, and may send events before its answer.
 */
import { type ErrorCode, isMambaError, MambaError } from '@mamba/core';

/** A table of calls: for each, the types of its argument, its result, and its events (`never` where it has none). */
export type CallTable<C> = { readonly [K in keyof C]: readonly [argument: unknown, result: unknown, event: unknown] };

export interface Request {
  readonly id: number;
  readonly method: PropertyKey;
  readonly argument: unknown;
}

export type Response =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly event: unknown }
  | { readonly id: number; readonly error: PlainError };

/** An error as data. The code is undefined for those that are no MambaError. */
export interface PlainError {
  readonly code: ErrorCode | undefined;
  readonly message: string;
  readonly remedy: string | undefined;
}

export function toPlainError(error: unknown): PlainError {
  if (isMambaError(error)) return { code: error.code, message: error.message, remedy: error.remedy };
  return { code: undefined, message: error instanceof Error ? error.message : String(error), remedy: undefined };
}

export function fromPlainError({ code, message, remedy }: PlainError): Error {
  return code === undefined ? new Error(message) : Object.assign(new MambaError(code, message), { remedy });
}
