/**
 * The errors that the packages throw on purpose. Each has a code, and data: what was given, what was expected, where it
 * came from and what to do. `isMambaError` recognises an error also across two copies of this package.
 */

/** What went wrong, as a stable word that programs may switch on. docs/errors.md has a section for each. */
export type ErrorCode =
  /** An argument has a wrong rank, shape, dtype or value, or an option is unknown. */
  | 'invalid-argument'
  /** A tensor, state, model or backend was used after `dispose()`. */
  | 'disposed'
  /** A tensor or state belongs to another backend or model. */
  | 'foreign'
  /** The backend cannot run this call; the message says why. */
  | 'unsupported'
  /** A backend cannot run on this machine. */
  | 'unavailable'
  /** The memory of the backend is exhausted. */
  | 'out-of-memory'
  /** The device was lost, and with it every state that was not exported. */
  | 'device-lost'
  /** The device reported a failure that is a bug of the backend. */
  | 'device-error'
  /** Reading or writing failed: a file, a disk, a network. */
  | 'io'
  /**
   * A model's results hold NaN or infinity, so that no token can be chosen from them, or the loss or a gradient of a
   * training does. The message says where they first occur.
   */
  | 'not-finite'
  /** A checkpoint, tokenizer, config or snapshot is damaged, incomplete or contradictory. */
  | 'invalid-file'
  /** The caller's AbortSignal was aborted. */
  | 'aborted';

/** The data beside the message. It is plain, so that it survives `structuredClone` and JSON. */
export interface ErrorDetails {
  /** Where the value came from: an operation and argument (`selectiveScan.delta`), a file, a config field. */
  readonly origin?: string | undefined;
  /** What was given, in words. */
  readonly given?: string | undefined;
  /** What was expected, in words. */
  readonly expected?: string | undefined;
  /** What the caller can do about it. */
  readonly remedy?: string | undefined;
  /** The error behind this one. It is `cause` of the error, and need not be plain. */
  readonly cause?: unknown;
}

const brand = Symbol.for('@mamba/error');

/** The only error class. `code` tells what went wrong; the message is composed of the details, with the remedy last. */
export class MambaError extends Error {
  /** What went wrong. Programs switch on it. */
  readonly code: ErrorCode;
  /** Where the value came from: an operation and argument (`selectiveScan.delta`), a file, a config field. */
  readonly origin: string | undefined;
  /** What was given, in words. */
  readonly given: string | undefined;
  /** What was expected, in words. */
  readonly expected: string | undefined;
  /** What the caller can do about it. */
  readonly remedy: string | undefined;
  /** Where the code is explained: a page of the documentation, by its path in the repository and on the site. */
  readonly help: string;

  constructor(code: ErrorCode, summary: string, details: ErrorDetails = {}) {
    super(compose(summary, details), details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'MambaError';
    this.code = code;
    this.origin = details.origin;
    this.given = details.given;
    this.expected = details.expected;
    this.remedy = details.remedy;
    this.help = helpOf(code);
    Object.defineProperty(this, brand, { value: true });
  }
}

/** Whether `error` is a MambaError of any copy of this package, and has this code if one is given. */
export function isMambaError(error: unknown, code?: ErrorCode): error is MambaError {
  if (typeof error !== 'object' || error === null) return false;
  return brand in error && (code === undefined || (error as { code?: unknown }).code === code);
}

/** An error as a command prints it: its message, and below it the section of the documentation on its code. */
export function messageWithHelp({ message, code }: MambaError): string {
  return `${message}\nsee ${helpOf(code)}`;
}

function helpOf(code: ErrorCode): string {
  return `docs/errors.md#${code}`;
}

/** Makes the most common error: `invalid('selectiveScan.delta', 'shape [1, 2]', 'shape [1, 3]')`. */
export function invalid(origin: string, given: string, expected: string, remedy?: string): MambaError {
  return new MambaError('invalid-argument', `${origin} is not valid`, { origin, given, expected, remedy });
}

function compose(summary: string, { given, expected, remedy }: ErrorDetails): string {
  let message = summary;
  if (given !== undefined) message += `: got ${given}`;
  if (expected !== undefined) message += `${given === undefined ? ':' : ','} expected ${expected}`;
  if (remedy !== undefined) message += `. ${remedy}`;
  return message;
}
