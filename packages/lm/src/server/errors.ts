import { isMambaError } from '@mamba/core';
import type { z } from 'zod';

/** An error for the client, in the form of OpenAI's API. */
export class ApiError extends Error {
  readonly status: ApiStatus;
  readonly type: string;
  /** The field of the request that caused it. */
  readonly param: string | null;
  readonly code: string | null;
  /** Seconds after which the client may try again. */
  readonly retryAfter: number | undefined;

  constructor(
    status: ApiStatus,
    type: string,
    message: string,
    param: string | null = null,
    code: string | null = null,
    retryAfter: number | undefined = status === 429 || status === 503 ? 1 : undefined,
  ) {
    super(message);
    this.retryAfter = retryAfter;
    this.name = 'ApiError';
    this.status = status;
    this.type = type;
    this.param = param;
    this.code = code;
  }
}

export type ApiStatus = 400 | 401 | 403 | 404 | 405 | 408 | 409 | 413 | 415 | 429 | 431 | 499 | 500 | 503;

/** The error for a failure of the server, without details. */
export const SERVER_FAILED = new ApiError(500, 'server_error', 'The server failed; its log says more.');

export interface ErrorBody {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string | null;
  };
}

export function badRequest(message: string, param: string | null = null, code: string | null = null): ApiError {
  return new ApiError(400, 'invalid_request_error', message, param, code);
}

export function errorBody({ message, type, param, code }: ApiError): ErrorBody {
  return { error: { message, type, param, code } };
}

/** Undefined for unexpected errors, whose details the client must not see. */
export function toApiError(error: unknown): ApiError | undefined {
  if (error instanceof ApiError) return error;
  if (!isMambaError(error)) return undefined;
  switch (error.code) {
    case 'invalid-argument':
    case 'unsupported': {
      const field = fieldOf(error.origin);
      return badRequest(field === null ? error.message : error.message.replace(error.origin!, field), field);
    }
    case 'unavailable':
      return new ApiError(429, 'rate_limit_error', error.message, null, 'rate_limit_exceeded');
    case 'out-of-memory':
    case 'device-lost':
    case 'disposed':
      return new ApiError(503, 'server_error', error.message);
    case 'io':
      if (error.origin !== 'store') return new ApiError(500, 'server_error', error.message);
      // The message names the store, which is none of the client's business.
      return new ApiError(503, 'server_error', 'The store of sessions cannot be reached.', null, 'store_unavailable');
    case 'aborted':
      return new ApiError(499, 'server_error', error.message);
    default:
      return new ApiError(500, 'server_error', error.message);
  }
}

/** The request's name for an option of `generate`: `logit_bias` for `generate.logitBias`. */
function fieldOf(origin: string | undefined): string | null {
  const name = /^generate\.([a-zA-Z]+)/.exec(origin ?? '')?.[1];
  return name?.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`) ?? null;
}

/** The error for the first issue of a body. */
export function schemaError({ issues }: z.ZodError): ApiError {
  const issue = issues[0]!;
  // The path of an unknown field lacks its name.
  const path = [...issue.path, ...(issue.code === 'unrecognized_keys' ? issue.keys.slice(0, 1) : [])];
  const param = path.length === 0 ? null : path.map(String).join('.');
  return badRequest(param === null ? issue.message : `${param}: ${issue.message}`, param);
}
