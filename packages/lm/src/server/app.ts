import { createHash, timingSafeEqual } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import type { HttpBindings } from '@hono/node-server';
import { type Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { streamSSE } from 'hono/streaming';
import type { z } from 'zod';
import type { Batcher } from '../generate/batcher.ts';
import type { GeneratedPiece } from '../generate/pieces.ts';
import type { LanguageModel } from '../language-model.ts';
import type { PrefixCache } from '../session/prefix-cache.ts';
import { Answer } from './answer.ts';
import { crossOrigin } from './cors.ts';
import { ApiError, badRequest, errorBody, SERVER_FAILED, schemaError, toApiError } from './errors.ts';
import { type Plan, type PlanLimits, planChat, planCompletion } from './plan.ts';
import { chatRequest, completionRequest } from './schema.ts';

export interface AppOptions {
  readonly lm: LanguageModel;
  /** The model's, in requests and answers. */
  readonly name: string;
  readonly batcher: Batcher;
  readonly prefixCache: PrefixCache | undefined;
  readonly apiKey: string | undefined;
  readonly maxBodyBytes: number;
  readonly limits: PlanLimits;
  /** Of pages that may read answers; `*` is any. */
  readonly origins: readonly string[];
  /** Fires where running requests are to end. */
  readonly signal: AbortSignal;
  /** A failure of the server's own. */
  readonly onError: (error: unknown) => void;
}

type Env = { Bindings: HttpBindings };

/** The routes: /v1/models, /v1/completions, /v1/chat/completions, and /health. */
export function createApp(options: AppOptions): Hono<Env> {
  const { lm, name, batcher, apiKey, maxBodyBytes, limits, origins } = options;
  const app = new Hono<Env>();
  const model = { id: name, object: 'model', created: Math.floor(Date.now() / 1000), owned_by: 'mamba-lm' };

  app.onError((error, c) => {
    const cut = c.env.incoming.destroyed && !c.env.incoming.complete;
    // A body that ended before it was whole is no mistake of ours, and there is nobody to tell.
    const told = cut ? new ApiError(499, 'invalid_request_error', 'The body is not whole.') : tell(error, options);
    if (told.status === 429) c.header('Retry-After', '1');
    // The rest of the body is not read, so that nothing can follow it.
    if (told.status === 413) c.header('Connection', 'close');
    // 499 is nobody's to read: the client has gone.
    return c.json(errorBody(told), told.status as 400);
  });
  app.notFound((c) => {
    throw new ApiError(404, 'invalid_request_error', `There is no ${c.req.method} ${c.req.path}`, null, 'unknown_url');
  });
  // Before the key is asked for: browsers send none with the question whether they may.
  if (origins.length > 0) app.use(crossOrigin(origins));
  app.get('/health', (c) => c.json({ status: 'ok', ...batcher.load }));
  app.use('/v1/*', async (c, next) => {
    if (apiKey !== undefined && !sameKey(c.req.header('authorization'), apiKey))
      throw new ApiError(401, 'invalid_request_error', 'The API key is missing or wrong.', null, 'invalid_api_key');
    await next();
  });
  app.use(
    '/v1/*',
    bodyLimit({
      maxSize: maxBodyBytes,
      onError: () => {
        throw new ApiError(413, 'invalid_request_error', `The body is larger than ${maxBodyBytes} bytes.`);
      },
    }),
  );
  app.get('/v1/models', (c) => c.json({ object: 'list', data: [model] }));
  // A name may hold slashes, as those of the hub do.
  app.get('/v1/models/:id{.+}', (c) => {
    checkModel(c.req.param('id'), name);
    return c.json(model);
  });
  app.post('/v1/completions', async (c) => {
    const request = await readBody(c, completionRequest);
    checkModel(request.model, name);
    return answer(c, options, planCompletion(lm, request, limits));
  });
  app.post('/v1/chat/completions', async (c) => {
    const request = await readBody(c, chatRequest);
    checkModel(request.model, name);
    return answer(c, options, planChat(lm, request, limits));
  });
  return app;
}

/** What a client is told of a failure; those of the server itself are logged. */
function tell(error: unknown, { onError }: AppOptions): ApiError {
  const told = toApiError(error) ?? SERVER_FAILED;
  if (told.status >= 500) onError(error);
  return told;
}

async function answer(c: Context<Env>, options: AppOptions, plan: Plan): Promise<Response> {
  const { lm, name } = options;
  const gone = new AbortController();
  // Also after an answer that was read to its end, when there is nothing left to abort.
  c.env.outgoing.once('close', () => gone.abort());
  const running = start(options, plan, gone);
  const written = new Answer(lm, plan, name);
  if (!plan.stream) {
    await consume(running, gone, async (index, piece) => {
      written.push(index, piece);
    });
    return c.json(written.whole());
  }
  return streamSSE(c, async (stream) => {
    const send = async (chunks: readonly object[]): Promise<void> => {
      for (const chunk of chunks) await stream.writeSSE({ data: JSON.stringify(chunk) });
    };
    try {
      await send(written.opening());
      await consume(running, gone, async (index, piece) => {
        const chunk = written.push(index, piece);
        if (chunk !== undefined) await send([chunk]);
      });
      await send(written.closing());
      await stream.writeSSE({ data: '[DONE]' });
    } catch (error) {
      // The status is sent already; clients of OpenAI's API look for `error` in a chunk.
      await send([errorBody(tell(error, options))]);
    }
  });
}

/** A generation whose first step is on its way: it has its place in the batch or the queue. */
interface Running {
  readonly pieces: AsyncGenerator<GeneratedPiece, void, void>;
  readonly first: Promise<IteratorResult<GeneratedPiece, void>>;
}

/** All choices, or none of them. @throws MambaError `unavailable` where the queue has not so many places. */
function start({ lm, batcher, prefixCache, signal }: AppOptions, plan: Plan, gone: AbortController): Running[] {
  const running: Running[] = [];
  const either = AbortSignal.any([signal, gone.signal]);
  // One for each choice.
  setMaxListeners(0, either);
  const options = { batcher, signal: either, ...(prefixCache && { prefixCache }) };
  try {
    for (const choice of plan.choices) {
      if (batcher.full) throw new ApiError(429, 'rate_limit_error', QUEUE_FULL, null, 'rate_limit_exceeded');
      const pieces = lm.generate({ ...choice, ...options });
      const first = pieces.next();
      // It may fail before it is waited for.
      first.catch(() => {});
      running.push({ pieces, first });
    }
    return running;
  } catch (error) {
    gone.abort();
    throw error;
  }
}

const QUEUE_FULL = 'Too many requests are waiting. Try again later.';

/** Ends when all have ended; where one fails the others are given up. */
async function consume(
  running: readonly Running[],
  gone: AbortController,
  take: (index: number, piece: GeneratedPiece) => Promise<void>,
): Promise<void> {
  const results = await Promise.allSettled(
    running.map(async ({ pieces, first }, index) => {
      try {
        for (let next = await first; !next.done; next = await pieces.next()) await take(index, next.value);
      } catch (error) {
        gone.abort();
        throw error;
      } finally {
        await pieces.return();
      }
    }),
  );
  const failed = results.filter((result) => result.status === 'rejected').map(({ reason }) => reason as unknown);
  // The first cause, rather than the abort of the others that came of it.
  if (failed.length > 0) throw failed.find((error) => toApiError(error)?.status !== 499) ?? failed[0];
}

async function readBody<S extends z.ZodType>(c: Context<Env>, schema: S): Promise<z.infer<S>> {
  // Pages can send other types to any address without asking; this one they cannot.
  if (!/^application\/json\s*(;|$)/i.test(c.req.header('content-type') ?? ''))
    throw new ApiError(415, 'invalid_request_error', 'The Content-Type has to be application/json.');
  const bytes = await c.req.arrayBuffer();
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    throw badRequest(`The body is not JSON in UTF-8: ${error instanceof Error ? error.message : String(error)}`);
  }
  const { success, data, error } = schema.safeParse(json);
  if (!success) throw schemaError(error);
  return data;
}

function checkModel(asked: string, name: string): void {
  if (asked === name) return;
  const message = `The model ${JSON.stringify(asked)} is not served here; ${JSON.stringify(name)} is.`;
  throw new ApiError(404, 'invalid_request_error', message, 'model', 'model_not_found');
}

/** In a time that does not depend on where they differ. */
function sameKey(authorization: string | undefined, key: string): boolean {
  const given = /^Bearer +(.+)$/i.exec(authorization ?? '')?.[1];
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return given !== undefined && timingSafeEqual(digest(given), digest(key));
}
