/**
 * Connects Node's HTTP server with the app, and answers requests that never reach the app in the form of OpenAI's API.
 */
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { getRequestListener, type HttpBindings } from '@hono/node-server';
import type { Hono } from 'hono';
import { discardBody } from './body.ts';
import { ApiError, type ApiStatus, badRequest, errorBody, SERVER_FAILED } from './errors.ts';

export interface ListenerOptions {
  /** Whether a Host header names this server. */
  readonly isKnownHost: (host: string) => boolean;
  readonly onError: (error: unknown) => void;
}

export function createListener(
  fetch: Hono<{ Bindings: HttpBindings }>['fetch'],
  { isKnownHost, onError }: ListenerOptions,
): (incoming: IncomingMessage, outgoing: ServerResponse) => void {
  const listener = getRequestListener(fetch, {
    // Else it puts classes of its own in the place of the process's Request and Response, which do not copy a body.
    overrideGlobalObjects: false,
    // Called for requests with an invalid URL, which never reach the app.
    errorHandler: (error) => {
      const apiError = error instanceof Error && error.name === 'RequestError' ? badRequest(error.message) : undefined;
      if (apiError === undefined) onError(error);
      const { status, ...body } = responseOf(apiError ?? SERVER_FAILED);
      return Response.json(body, { status });
    },
  });
  return (incoming, outgoing) => {
    const { host } = incoming.headers;
    if (host === undefined || host === '')
      return void refuse(incoming, outgoing, badRequest('The request has no Host.'));
    if (!isKnownHost(host)) {
      const hint = 'The server allows others by --allow-host.';
      const message = `The host ${host} is not this server's. ${hint}`;
      return void refuse(
        incoming,
        outgoing,
        new ApiError(403, 'invalid_request_error', message, null, 'host_not_allowed'),
      );
    }
    // The Host has been checked. The adapter would refuse some valid forms of it.
    incoming.headers.host = 'localhost';
    void listener(incoming, outgoing);
  };
}

/**
 * Answers a request that Node could not parse.
 * @param begun Whether an answer on this connection has begun and not ended.
 */
export function answerClientError(error: NodeJS.ErrnoException, socket: Socket, begun: boolean): void {
  if (begun || !socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const status = STATUS_OF[error.code ?? ''] ?? 400;
  const apiError = new ApiError(status, 'invalid_request_error', `The request cannot be read: ${error.message}`);
  const { status: _, ...content } = responseOf(apiError);
  const body = JSON.stringify(content);
  const head = [`HTTP/1.1 ${status} ${STATUS_CODES[status]}`, 'Connection: close', 'Content-Type: application/json'];
  socket.end([...head, `Content-Length: ${Buffer.byteLength(body)}`, '', body].join('\r\n'));
  // A client that does not read the answer must not keep the connection open.
  socket.setTimeout(LINGER_MS, () => socket.destroy());
}

const LINGER_MS = 1000;

const STATUS_OF: Readonly<Record<string, ApiStatus>> = {
  HPE_HEADER_OVERFLOW: 431,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
};

async function refuse(incoming: IncomingMessage, outgoing: ServerResponse, error: ApiError): Promise<void> {
  await discardBody(incoming);
  const { status, ...body } = responseOf(error);
  outgoing.writeHead(status, { 'Content-Type': 'application/json', Connection: 'close' });
  outgoing.end(JSON.stringify(body));
}

function responseOf(error: ApiError): { readonly status: ApiStatus } & ReturnType<typeof errorBody> {
  return { status: error.status, ...errorBody(error) };
}
