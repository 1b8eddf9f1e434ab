/**
 * What stands between Node's HTTP server and the app: requests that the app cannot see are answered in OpenAI's form,
 * too.
 */
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { getRequestListener, type HttpBindings } from '@hono/node-server';
import type { Hono } from 'hono';
import { passOver } from './body.ts';
import { ApiError, type ApiStatus, badRequest, errorBody, SERVER_FAILED } from './errors.ts';

export interface ListenerOptions {
  /** Whether a request's Host means this server. */
  readonly known: (host: string) => boolean;
  readonly onError: (error: unknown) => void;
}

export function createListener(
  app: Hono<{ Bindings: HttpBindings }>,
  { known, onError }: ListenerOptions,
): (incoming: IncomingMessage, outgoing: ServerResponse) => void {
  const listener = getRequestListener(app.fetch, {
    // What comes here never reached the app: its address is none.
    errorHandler: (error) => {
      const told = error instanceof Error && error.name === 'RequestError' ? badRequest(error.message) : undefined;
      if (told === undefined) onError(error);
      const { status, ...body } = responseOf(told ?? SERVER_FAILED);
      return Response.json(body, { status });
    },
  });
  return (incoming, outgoing) => {
    const { host } = incoming.headers;
    if (host === undefined || host === '')
      return void refuse(incoming, outgoing, badRequest('The request has no Host.'));
    if (!known(host)) {
      const hint = 'The server allows others by --allow-host.';
      const message = `The host ${host} is not this server's. ${hint}`;
      return void refuse(
        incoming,
        outgoing,
        new ApiError(403, 'invalid_request_error', message, null, 'host_not_allowed'),
      );
    }
    // It has done its work; the app would take other forms of the same name for a mistake.
    incoming.headers.host = 'localhost';
    void listener(incoming, outgoing);
  };
}

/**
 * Answers what Node could not parse. `begun` says whether something was answered on this connection that is not at its
 * end.
 */
export function answerClientError(error: NodeJS.ErrnoException, socket: Socket, begun: boolean): void {
  if (begun || !socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const status = STATUS_OF[error.code ?? ''] ?? 400;
  const told = new ApiError(status, 'invalid_request_error', `The request cannot be read: ${error.message}`);
  const { status: _, ...content } = responseOf(told);
  const body = JSON.stringify(content);
  const head = [`HTTP/1.1 ${status} ${STATUS_CODES[status]}`, 'Connection: close', 'Content-Type: application/json'];
  socket.end([...head, `Content-Length: ${Buffer.byteLength(body)}`, '', body].join('\r\n'));
  // One who does not take the answer does not hold the connection.
  socket.setTimeout(LINGER_MS, () => socket.destroy());
}

const LINGER_MS = 1000;

const STATUS_OF: Readonly<Record<string, ApiStatus>> = {
  HPE_HEADER_OVERFLOW: 431,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
};

async function refuse(incoming: IncomingMessage, outgoing: ServerResponse, error: ApiError): Promise<void> {
  await passOver(incoming);
  const { status, ...body } = responseOf(error);
  outgoing.writeHead(status, { 'Content-Type': 'application/json', Connection: 'close' });
  outgoing.end(JSON.stringify(body));
}

function responseOf(error: ApiError): { readonly status: ApiStatus } & ReturnType<typeof errorBody> {
  return { status: error.status, ...errorBody(error) };
}
