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
import { discardBody, parseJson, readBytes } from './body.ts';
import { crossOrigin } from './cors.ts';
import { checkEmbeddings, embed } from './embeddings.ts';
import { ApiError, errorBody, SERVER_FAILED, schemaError, toApiError } from './errors.ts';
import { type Plan, type PlanContext, type PlanLimits, planChat, planCompletion } from './plan.ts';
import type { PromptEncoder } from './prompt-encoder.ts';
import { encodePrompts } from './prompts.ts';
import { type Queue, queueFull } from './queue.ts';
import { chatRequest, completionRequest, embeddingRequest } from './schema.ts';

export interface AppOptions {
  readonly lm: LanguageModel;
  /** The name of the model in requests and answers. */
  readonly name: string;
  readonly batcher: Batcher;
  readonly encoder: PromptEncoder;
  /** Runs embeddings and scores of prompts, one at a time, beside the batch. */
  readonly serialJobs: Queue;
  readonly prefixCache: PrefixCache | undefined;
  readonly apiKey: string | undefined;
  readonly maxBodyBytes: number;
  readonly limits: PlanLimits;
  /** The default for requests without `split_special_tokens`. */
  readonly splitSpecialTokens: boolean;
  /** Origins of pages that may read answers; `*` is any. */
  readonly origins: readonly string[];
  /** Aborts running requests. */
  readonly signal: AbortSignal;
  /** Called for every answer of status 500 and above. */
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
    // The client disconnected before it had sent the whole body: not an error of the server.
    const apiError = cut
      ? new ApiError(499, 'invalid_request_error', 'The body is not whole.')
      : toClientError(error, options);
    if (apiError.status === 429) c.header('Retry-After', '1');
    await discardBody(c.env.incoming);
    // 499: the client disconnected, nobody reads this.
    return c.json(errorBody(apiError), apiError.status as 400);
  });
  app.notFound((c) => {
    throw new ApiError(404, 'invalid_request_error', `There is no ${c.req.method} ${c.req.path}`, null, 'unknown_url');
  });
  // Before the check of the key, which browsers do not send with preflight requests.
  if (origins.length > 0) app.use(crossOrigin(origins));
  app.get('/health', (c) => c.json({ status: 'ok', ...batcher.load }));
  app.use('/v1/*', async (c, next) => {
    if (apiKey !== undefined && !sameKey(c.req.header('authorization'), apiKey))
      throw new ApiError(401, 'invalid_request_error', 'The API key is missing or wrong.', null, 'invalid_api_key');
    await next();
  });
  app.get('/v1/models', (c) => c.json({ object: 'list', data: [model] }));
  // Names may contain slashes, as those of the hub do.
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
    const { signal } = cancelWithClient(c, options);
    const inputs = await encodePrompts(request.input, 'input', contextOf(options, request, signal, options.serialJobs));
    const base64 = request.encoding_format === 'base64';
    return c.json(await options.serialJobs.run(signal, () => embed(lm, inputs, { model: name, base64, signal })));
  });
  return app;
}

/** The error for the client; reports failures of the server to `onError`. */
function toClientError(error: unknown, { onError }: AppOptions): ApiError {
  const apiError = toApiError(error) ?? SERVER_FAILED;
  if (apiError.status >= 500) onError(error);
  return apiError;
}

/** Cancels a request when the client disconnects or the server closes. */
interface Cancellation {
  /** Aborts this request only. */
  readonly controller: AbortController;
  readonly signal: AbortSignal;
}

function cancelWithClient(c: Context<Env>, { signal }: AppOptions): Cancellation {
  const controller = new AbortController();
  const { outgoing } = c.env;
  // Also emitted after a complete answer, when there is nothing left to abort.
  outgoing.once('close', () => controller.abort());
  if (outgoing.closed) controller.abort();
  const either = AbortSignal.any([signal, controller.signal]);
  // Each choice adds a listener.
  setMaxListeners(0, either);
  return { controller, signal: either };
}

function contextOf(
  { lm, encoder, limits, splitSpecialTokens }: AppOptions,
  request: { readonly split_special_tokens?: boolean | null | undefined },
  signal: AbortSignal,
  queue: { readonly full: boolean },
): PlanContext {
  const admit = (): void => {
    if (queue.full) throw queueFull();
  };
  return { lm, encoder, limits, signal, admit, splitSpecialTokens: request.split_special_tokens ?? splitSpecialTokens };
}

async function generate(
  c: Context<Env>,
  options: AppOptions,
  request: Parameters<typeof contextOf>[1],
  makePlan: (context: PlanContext) => Promise<Plan>,
): Promise<Response> {
  const { lm, name } = options;
  const cancellation = cancelWithClient(c, options);
  const plan = await makePlan(contextOf(options, request, cancellation.signal, options.batcher));
  const promptScores = await scorePrompts(plan, options, cancellation.signal);
  const running = start(options, plan, cancellation);
  const answer = new Answer(lm, plan, name, promptScores);
  if (!plan.stream) {
    await consume(running, cancellation.controller, async (index, piece) => {
      answer.push(index, piece);
    });
    return c.json(answer.whole());
  }
  return streamSSE(c, async (stream) => {
    const send = async (chunks: readonly object[]): Promise<void> => {
      for (const chunk of chunks) await stream.writeSSE({ data: JSON.stringify(chunk) });
    };
    try {
      await send(answer.opening());
      await consume(running, cancellation.controller, async (index, piece) => {
        const chunk = answer.push(index, piece);
        if (chunk !== undefined) await send([chunk]);
      });
      await send(answer.closing());
      await stream.writeSSE({ data: '[DONE]' });
    } catch (error) {
      // The status has been sent. OpenAI's clients look for `error` in a chunk.
      await send([errorBody(toClientError(error, options))]);
    }
  });
}

/** Log-probabilities of the prompts, if they are echoed with them; otherwise none. */
async function scorePrompts(
  { echo, logProbs: topLogProbs, prompts }: Plan,
  { lm, serialJobs, prefixCache }: AppOptions,
  signal: AbortSignal,
): Promise<readonly (readonly GeneratedToken[])[]> {
  if (!echo || topLogProbs === undefined) return [];
  return serialJobs.run(signal, async () => {
    const scores: (readonly GeneratedToken[])[] = [];
    for (const { ids } of prompts)
      scores.push(await promptLogProbs(lm.model, ids, { topLogProbs, prefixCache, signal }));
    return scores;
  });
}

/** A generation that has been started, so that it is in the batch or its queue. */
interface Running {
  /** Index of its choice. */
  readonly index: number;
  readonly pieces: AsyncGenerator<GeneratedPiece, void, void>;
  readonly first: Promise<IteratorResult<GeneratedPiece, void>>;
}

/** Starts all choices of a plan, or none of them. @throws ApiError 429 if the queue is too short for all. */
function start({ lm, batcher, prefixCache }: AppOptions, plan: Plan, { controller, signal }: Cancellation): Running[] {
  const running: Running[] = [];
  const shared = { batcher, signal, ...(prefixCache && { prefixCache }) };
  try {
    for (const [index, { options }] of plan.choices.entries()) {
      if (options === undefined) continue;
      if (batcher.full) throw queueFull();
      const pieces = lm.generate({ ...options, ...shared });
      const first = pieces.next();
      // It may fail before `consume` awaits it.
      first.catch(() => {});
      running.push({ index, pieces, first });
    }
    return running;
  } catch (error) {
    controller.abort();
    throw error;
  }
}

/** Reads all generations to their ends; if one fails, the others are aborted. */
async function consume(
  running: readonly Running[],
  controller: AbortController,
  take: (index: number, piece: GeneratedPiece) => Promise<void>,
): Promise<void> {
  const results = await Promise.allSettled(
    running.map(async ({ index, pieces, first }) => {
      try {
        for (let next = await first; !next.done; next = await pieces.next()) await take(index, next.value);
      } catch (error) {
        controller.abort();
        throw error;
      } finally {
        await pieces.return();
      }
    }),
  );
  const failed = results.filter((result) => result.status === 'rejected').map(({ reason }) => reason as unknown);
  // The first failure that is not an abort: the others were aborted because of it.
  if (failed.length > 0) throw failed.find((error) => toApiError(error)?.status !== 499) ?? failed[0];
}

async function readBody<S extends z.ZodType>(
  c: Context<Env>,
  schema: S,
  { maxBodyBytes }: AppOptions,
): Promise<z.infer<S>> {
  // Pages of other origins can send other types without a preflight request, but not this one.
  if (!/^application\/json\s*(;|$)/i.test(c.req.header('content-type') ?? ''))
    throw new ApiError(415, 'invalid_request_error', 'The Content-Type has to be application/json.');
  const json = parseJson(await readBytes(c.env.incoming, maxBodyBytes));
  const { success, data, error } = schema.safeParse(withoutNull(json));
  if (!success) throw schemaError(error);
  return data;
}

/** Drops fields that are `null`, whatever their names. */
function withoutNull(json: unknown): unknown {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return json;
  return Object.fromEntries(Object.entries(json).filter(([, value]) => value !== null));
}

function checkModel(asked: string, name: string): void {
  if (asked === name) return;
  const message = `The model ${JSON.stringify(asked)} is not served here; ${JSON.stringify(name)} is.`;
  throw new ApiError(404, 'invalid_request_error', message, 'model', 'model_not_found');
}

/** Compares in constant time. */
function sameKey(authorization: string | undefined, key: string): boolean {
  const given = /^Bearer +(.+)$/i.exec(authorization ?? '')?.[1];
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return given !== undefined && timingSafeEqual(digest(given), digest(key));
}
