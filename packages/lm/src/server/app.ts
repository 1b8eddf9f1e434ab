import { createHash, timingSafeEqual } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import type { HttpBindings } from '@hono/node-server';
import { type Context, Hono } from 'hono';
import { streamSSE } from 'hono/streaming';
import type { z } from 'zod';
import type { Batcher } from '../generate/batcher.ts';
import type { GeneratedToken } from '../generate/decoder/sequence.ts';
import type { GeneratedPiece } from '../generate/pieces.ts';
import type { PrefixCache } from '../generate/prefix-cache.ts';
import type { LanguageModel } from '../language-model.ts';
import { promptLogProbs } from '../score/prompt-log-probs.ts';
import { Answer } from './answer.ts';
import { parseJson, passOver, readBytes } from './body.ts';
import { crossOrigin } from './cors.ts';
import { checkEmbeddings, embed } from './embeddings.ts';
import { ApiError, errorBody, SERVER_FAILED, schemaError, toApiError } from './errors.ts';
import { type Plan, type PlanContext, type PlanLimits, planChat, planCompletion } from './plan.ts';
import { encodePrompts } from './prompts.ts';
import { type Queue, queueFull } from './queue.ts';
import { chatRequest, completionRequest, embeddingRequest } from './schema.ts';
import type { Texts } from './texts.ts';

export interface AppOptions {
  readonly lm: LanguageModel;
  /** The model's, in requests and answers. */
  readonly name: string;
  readonly batcher: Batcher;
  readonly texts: Texts;
  /** For what runs beside the batch: one at a time, a chunk between the batch's steps. */
  readonly turns: Queue;
  readonly prefixCache: PrefixCache | undefined;
  readonly apiKey: string | undefined;
  readonly maxBodyBytes: number;
  readonly limits: PlanLimits;
  /** Where a request does not say. */
  readonly splitSpecialTokens: boolean;
  /** Of pages that may read answers; `*` is any. */
  readonly origins: readonly string[];
  /** Fires where running requests are to end. */
  readonly signal: AbortSignal;
  /** A failure of the server's own. */
  readonly onError: (error: unknown) => void;
}

type Env = { Bindings: HttpBindings };

/** The routes: /v1/models, /v1/completions, /v1/chat/completions, /v1/embeddings, and /health. */
export function createApp(options: AppOptions): Hono<Env> {
  const { lm, name, batcher, apiKey, origins } = options;
  const app = new Hono<Env>();
  const model = { id: name, object: 'model', created: Math.floor(Date.now() / 1000), owned_by: 'mamba-lm' };

  app.onError(async (error, c) => {
    const cut = c.env.incoming.destroyed && !c.env.incoming.complete;
    // A body that ended before it was whole is no mistake of ours, and there is nobody to tell.
    const told = cut ? new ApiError(499, 'invalid_request_error', 'The body is not whole.') : tell(error, options);
    if (told.status === 429) c.header('Retry-After', '1');
    await passOver(c.env.incoming);
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
  app.get('/v1/models', (c) => c.json({ object: 'list', data: [model] }));
  // A name may hold slashes, as those of the hub do.
  app.get('/v1/models/:id{.+}', (c) => {
    checkModel(c.req.param('id'), name);
    return c.json(model);
  });
  app.post('/v1/completions', async (c) => {
    const request = await readBody(c, completionRequest, options);
    checkModel(request.model ?? name, name);
    return generate(c, options, request, (context) => planCompletion(request, context));
  });
  app.post('/v1/chat/completions', async (c) => {
    const request = await readBody(c, chatRequest, options);
    checkModel(request.model ?? name, name);
    return generate(c, options, request, (context) => planChat(request, context));
  });
  app.post('/v1/embeddings', async (c) => {
    const request = await readBody(c, embeddingRequest, options);
    checkModel(request.model ?? name, name);
    checkEmbeddings(request, lm);
    const { signal } = leaving(c, options);
    const inputs = await encodePrompts(request.input, 'input', contextOf(options, request, signal, options.turns));
    const base64 = request.encoding_format === 'base64';
    return c.json(await options.turns.run(signal, () => embed(lm, inputs, { model: name, base64, signal })));
  });
  return app;
}

/** What a client is told of a failure; those of the server itself are logged. */
function tell(error: unknown, { onError }: AppOptions): ApiError {
  const told = toApiError(error) ?? SERVER_FAILED;
  if (told.status >= 500) onError(error);
  return told;
}

/** Aborts where the client goes, and where the server ends. */
interface Leaving {
  readonly gone: AbortController;
  readonly signal: AbortSignal;
}

function leaving(c: Context<Env>, { signal }: AppOptions): Leaving {
  const gone = new AbortController();
  const { outgoing } = c.env;
  // Also after an answer that was read to its end, when there is nothing left to abort.
  outgoing.once('close', () => gone.abort());
  if (outgoing.closed) gone.abort();
  const either = AbortSignal.any([signal, gone.signal]);
  // One for each choice.
  setMaxListeners(0, either);
  return { gone, signal: either };
}

function contextOf(
  { lm, texts, limits, splitSpecialTokens }: AppOptions,
  request: { readonly split_special_tokens?: boolean | null | undefined },
  signal: AbortSignal,
  place: { readonly full: boolean },
): PlanContext {
  const admit = (): void => {
    if (place.full) throw queueFull();
  };
  return { lm, texts, limits, signal, admit, splitSpecialTokens: request.split_special_tokens ?? splitSpecialTokens };
}

async function generate(
  c: Context<Env>,
  options: AppOptions,
  request: Parameters<typeof contextOf>[1],
  makePlan: (context: PlanContext) => Promise<Plan>,
): Promise<Response> {
  const { lm, name } = options;
  const leave = leaving(c, options);
  const plan = await makePlan(contextOf(options, request, leave.signal, options.batcher));
  const told = await promptsTold(plan, options, leave.signal);
  const running = start(options, plan, leave);
  const written = new Answer(lm, plan, name, told);
  if (!plan.stream) {
    await consume(running, leave.gone, async (index, piece) => {
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
      await consume(running, leave.gone, async (index, piece) => {
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

/** What the model thought of the prompts, where they are echoed with that. */
async function promptsTold(
  { echo, logProbs: topLogProbs, prompts }: Plan,
  { lm, turns, prefixCache }: AppOptions,
  signal: AbortSignal,
): Promise<readonly (readonly GeneratedToken[])[]> {
  if (!echo || topLogProbs === undefined) return [];
  return turns.run(signal, async () => {
    const told: (readonly GeneratedToken[])[] = [];
    for (const { ids } of prompts) told.push(await promptLogProbs(lm.model, ids, { topLogProbs, prefixCache, signal }));
    return told;
  });
}

/** A generation whose first step is on its way: it has its place in the batch or the queue. */
interface Running {
  /** Of its choice. */
  readonly index: number;
  readonly pieces: AsyncGenerator<GeneratedPiece, void, void>;
  readonly first: Promise<IteratorResult<GeneratedPiece, void>>;
}

/** All choices that generate, or none of them. @throws ApiError where the queue has not so many places. */
function start({ lm, batcher, prefixCache }: AppOptions, plan: Plan, { gone, signal }: Leaving): Running[] {
  const running: Running[] = [];
  const shared = { batcher, signal, ...(prefixCache && { prefixCache }) };
  try {
    for (const [index, { options }] of plan.choices.entries()) {
      if (options === undefined) continue;
      if (batcher.full) throw queueFull();
      const pieces = lm.generate({ ...options, ...shared });
      const first = pieces.next();
      // It may fail before it is waited for.
      first.catch(() => {});
      running.push({ index, pieces, first });
    }
    return running;
  } catch (error) {
    gone.abort();
    throw error;
  }
}

/** Ends when all have ended; where one fails the others are given up. */
async function consume(
  running: readonly Running[],
  gone: AbortController,
  take: (index: number, piece: GeneratedPiece) => Promise<void>,
): Promise<void> {
  const results = await Promise.allSettled(
    running.map(async ({ index, pieces, first }) => {
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

async function readBody<S extends z.ZodType>(
  c: Context<Env>,
  schema: S,
  { maxBodyBytes }: AppOptions,
): Promise<z.infer<S>> {
  // Pages can send other types to any address without asking; this one they cannot.
  if (!/^application\/json\s*(;|$)/i.test(c.req.header('content-type') ?? ''))
    throw new ApiError(415, 'invalid_request_error', 'The Content-Type has to be application/json.');
  const json = parseJson(await readBytes(c.env.incoming, maxBodyBytes));
  const { success, data, error } = schema.safeParse(withoutNull(json));
  if (!success) throw schemaError(error);
  return data;
}

/** A field that is `null` was not given, whatever its name. */
function withoutNull(json: unknown): unknown {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return json;
  return Object.fromEntries(Object.entries(json).filter(([, value]) => value !== null));
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
