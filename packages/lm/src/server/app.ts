import { createHash, timingSafeEqual } from 'node:crypto';
import { type Context, Hono, type MiddlewareHandler } from 'hono';
import type { z } from 'zod';
import type { Batcher } from '../generate/batcher.ts';
import type { GeneratedToken } from '../generate/decoder/sequence.ts';
import type { LanguageModel } from '../language-model.ts';
import { promptLogProbs } from '../score/prompt-log-probs.ts';
import { Answer } from './answer.ts';
import { discardBody, parseJson, readBytes } from './body.ts';
import { crossOrigin } from './cors.ts';
import { type Cancellation, cancelWithClient, deliver, type Env, type Running, startReading } from './deliver.ts';
import { checkEmbeddings, embed } from './embeddings.ts';
import { ApiError, errorBody, SERVER_FAILED, schemaError, toApiError } from './errors.ts';
import type { RateLimiter } from './limits.ts';
import type { Metrics } from './metrics.ts';
import { type Plan, type PlanContext, type PlanLimits, planChat, planCompletion } from './plan.ts';
import { addMetrics, addProbes, notReady, type ProbeOptions } from './probes.ts';
import type { PromptEncoder } from './prompt-encoder.ts';
import { encodePrompts } from './prompts.ts';
import { type Queue, queueFull } from './queue.ts';
import { chatRequest, completionRequest, embeddingRequest } from './schema.ts';
import { completeInSession, holding } from './sessions/complete.ts';
import type { Sessions } from './sessions/sessions.ts';
import type { SharedPrefixCache } from './shared-prefixes.ts';

/** What an app needs without a model. */
export interface BaseOptions extends ProbeOptions {
  readonly apiKey: string | undefined;
  /** Origins of pages that may read answers; `*` is any. */
  readonly origins: readonly string[];
  readonly metrics: Metrics;
  /** Whether /metrics gives what was counted. */
  readonly showsMetrics: boolean;
  /** Called for every answer of status 500 and above, but those that say that the server loads or closes. */
  readonly onError: (error: unknown) => void;
}

export interface AppOptions extends BaseOptions {
  readonly lm: LanguageModel;
  /** The name of the model in requests and answers. */
  readonly name: string;
  readonly batcher: Batcher;
  readonly encoder: PromptEncoder;
  /** Runs embeddings and scores of prompts, one at a time, beside the batch. */
  readonly serialJobs: Queue;
  readonly prefixCache: SharedPrefixCache | undefined;
  readonly sessions: Sessions;
  readonly limiter: RateLimiter;
  readonly maxBodyBytes: number;
  readonly limits: PlanLimits;
  /** The default for requests without `split_special_tokens`. */
  readonly splitSpecialTokens: boolean;
  /** Ends running generations of sessions after the tokens that they have given, so that they are saved. */
  readonly interrupt: AbortSignal;
  /** Aborts running requests. */
  readonly signal: AbortSignal;
}

/**
 * The routes: /v1/models, /v1/completions, /v1/chat/completions, /v1/embeddings, /v1/sessions, and for those who run
 * the server /health, /ready and /metrics.
 */
export function createApp(options: AppOptions): Hono<Env> {
  const { lm, name, sessions, limiter, apiKey = '' } = options;
  const app = createBaseApp(options);
  const model = { id: name, object: 'model', created: Math.floor(Date.now() / 1000), owned_by: 'mamba-lm' };

  app.use('/v1/*', async (c, next) => {
    if (c.req.method === 'POST') await limiter.admit(apiKey);
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
    if (typeof request.session !== 'string')
      return generate(c, options, request, (context) => planCompletion(request, context));
    const cancellation = cancelWithClient(c, options.signal);
    return completeInSession(c, request.session, request, {
      ...options,
      cancellation,
      context: contextOf(options, request, cancellation.signal, options.batcher),
      toClientError: (error) => toClientError(error, options),
      spend: (tokens) => limiter.spend(apiKey, tokens),
    });
  });
  app.get('/v1/sessions/:id', async (c) => {
    const id = c.req.param('id');
    return c.json({ id, object: 'session', ...(await holding(options, () => sessions.describe(id))) });
  });
  app.delete('/v1/sessions/:id', async (c) => {
    const id = c.req.param('id');
    await holding(options, () => sessions.delete(id));
    return c.json({ id, object: 'session', deleted: true });
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
    const { signal } = cancelWithClient(c, options.signal);
    const inputs = await encodePrompts(request.input, 'input', contextOf(options, request, signal, options.serialJobs));
    const base64 = request.encoding_format === 'base64';
    return c.json(await options.serialJobs.run(signal, () => embed(lm, inputs, { model: name, base64, signal })));
  });
  return app;
}

/** What a server answers without a model: /health, /ready, /metrics, and 503 for all others. */
export function createBaseApp(options: BaseOptions): Hono<Env> {
  const { apiKey, origins, metrics } = options;
  const app = new Hono<Env>();
  addErrors(app, options);
  // Before the check of the key, which browsers do not send with preflight requests.
  if (origins.length > 0) app.use(crossOrigin(origins));
  addProbes(app, options);
  const checkKey: MiddlewareHandler<Env> = async (c, next) => {
    if (apiKey !== undefined && !sameKey(c.req.header('authorization'), apiKey))
      throw new ApiError(401, 'invalid_request_error', 'The API key is missing or wrong.', null, 'invalid_api_key');
    await next();
  };
  if (options.showsMetrics) {
    app.use('/metrics', checkKey);
    addMetrics(app, metrics);
  }
  app.use('/v1/*', async (c, next) => {
    await next();
    metrics.add('requests', 1, { route: routeOf(c.req.path), status: String(c.res.status) });
  });
  app.use('/v1/*', checkKey, async (_, next) => {
    const error = notReady(options.phase());
    if (error !== undefined) throw error;
    await next();
  });
  return app;
}

/** Answers errors and unknown addresses in the form of the API. */
function addErrors(app: Hono<Env>, options: BaseOptions): void {
  app.onError(async (error, c) => {
    const cut = c.env.incoming.destroyed && !c.env.incoming.complete;
    // The client disconnected before it had sent the whole body: not an error of the server.
    const apiError = cut
      ? new ApiError(499, 'invalid_request_error', 'The body is not whole.')
      : toClientError(error, options);
    if (apiError.retryAfter !== undefined) c.header('Retry-After', String(apiError.retryAfter));
    await discardBody(c.env.incoming);
    // 499: the client disconnected, nobody reads this.
    return c.json(errorBody(apiError), apiError.status as 400);
  });
  app.notFound((c) => {
    throw new ApiError(404, 'invalid_request_error', `There is no ${c.req.method} ${c.req.path}`, null, 'unknown_url');
  });
}

/** The error for the client; reports failures of the server to `onError`. */
function toClientError(error: unknown, { onError }: Pick<BaseOptions, 'onError'>): ApiError {
  const apiError = toApiError(error) ?? SERVER_FAILED;
  // A server that says that it loads or closes has not failed.
  if (apiError.status >= 500 && apiError !== error) onError(error);
  return apiError;
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
  const { lm, name, metrics, prefixCache, limiter, apiKey = '' } = options;
  const cancellation = cancelWithClient(c, options.signal);
  const plan = await makePlan(contextOf(options, request, cancellation.signal, options.batcher));
  const promptScores = await scorePrompts(plan, options, cancellation.signal);
  for (const { ids } of plan.prompts) {
    metrics.add('promptTokens', ids.length);
    await prefixCache?.fetch(ids);
  }
  const answer = new Answer(lm, plan, name, promptScores);
  return deliver(c, {
    ...{ answer, stream: plan.stream, controller: cancellation.controller, metrics },
    running: start(options, plan, cancellation),
    toClientError: (error) => toClientError(error, options),
    finish: () => limiter.spend(apiKey, answer.tokens),
    release: async () => {},
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

/** Starts all choices of a plan, or none of them. @throws ApiError 429 if the queue is too short for all. */
function start({ lm, batcher, prefixCache }: AppOptions, plan: Plan, { controller, signal }: Cancellation): Running[] {
  const running: Running[] = [];
  const shared = { batcher, signal, ...(prefixCache && { prefixCache }) };
  try {
    for (const [index, { options }] of plan.choices.entries()) {
      if (options === undefined) continue;
      if (batcher.full) throw queueFull();
      running.push(startReading(index, lm.generate({ ...options, ...shared })));
    }
    return running;
  } catch (error) {
    controller.abort();
    throw error;
  }
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

const ROUTES = ['models', 'completions', 'chat/completions', 'embeddings', 'sessions'];

/** The path as metrics name it, of which there are few. */
function routeOf(path: string): string {
  return ROUTES.find((route) => path === `/v1/${route}` || path.startsWith(`/v1/${route}/`)) ?? 'other';
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
