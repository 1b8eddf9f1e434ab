import type { Context } from 'hono';
import { Answer } from '../answer.ts';
import type { AppOptions } from '../app.ts';
import { type Cancellation, deliver, type Env, startReading } from '../deliver.ts';
import { ApiError, badRequest, toApiError } from '../errors.ts';
import { type Plan, type PlanContext, planCompletion } from '../plan.ts';
import { queueFull } from '../queue.ts';
import type { CompletionRequest } from '../schema.ts';
import { type Continuation, continueSession } from './continuation.ts';
import { type HeldSession, type Sessions, sessionError } from './sessions.ts';

export interface SessionCompletion
  extends Pick<AppOptions, 'lm' | 'name' | 'batcher' | 'prefixCache' | 'interrupt' | 'metrics'> {
  readonly sessions: Sessions;
  readonly cancellation: Cancellation;
  readonly context: PlanContext;
  readonly toClientError: (error: unknown) => ApiError;
  /** Counts the tokens of the request. */
  readonly spend: (tokens: number) => Promise<void>;
}

/**
 * Continues a session: reads the prompt after what the session has read, and generates. The session is saved before the
 * client is told the end; a request that fails leaves it as it was. A request without a prompt goes on writing.
 * @throws ApiError, MambaError as other completions, and if the session cannot be used.
 */
export async function completeInSession(
  c: Context<Env>,
  id: string,
  request: CompletionRequest,
  options: SessionCompletion,
): Promise<Response> {
  const { lm, name, metrics, cancellation } = options;
  checkRequest(request);
  const held = await holding(options, () => options.sessions.hold(id));
  const started = await start(held, request, options).catch(async (error: unknown) => {
    await held.release();
    throw error;
  });
  const { plan, running } = started;
  return deliver(c, {
    running: [startReading(0, running.pieces)],
    answer: new Answer(lm, plan, name),
    stream: plan.stream,
    controller: cancellation.controller,
    metrics,
    toClientError: options.toClientError,
    finish: async () => {
      const end = running.end!;
      const { interrupted } = running;
      // The text of an answer that is no stream has not been given yet: nobody would know what the session has read.
      if (interrupted && !plan.stream) throw interruptedBefore();
      const bytes = await holding(options, () => held.save(end));
      metrics.add('sessionsSaved', 1, { interrupted: String(interrupted) });
      metrics.add('sessionBytes', bytes);
      await options.spend(end.length - held.state.length);
      if (interrupted) throw interruptedWithin(id);
    },
    release: async () => {
      running.end?.state?.dispose();
      await held.release();
    },
  });
}

async function start(
  { state }: HeldSession,
  request: CompletionRequest,
  options: SessionCompletion,
): Promise<{ readonly plan: Plan; readonly running: Continuation }> {
  const plan = await planCompletion(request, { ...options.context, continues: state.length > 0 });
  const { ids } = plan.prompts[0]!;
  const { prompt: _, ...generation } = plan.choices[0]!.options!;
  if (state.length === 0) await options.prefixCache?.fetch(ids);
  if (options.batcher.full) throw queueFull();
  const running = continueSession(options, state, ids, { ...generation, signal: options.cancellation.signal });
  options.metrics.add('promptTokens', ids.length);
  return { plan, running };
}

/** Calls the store for a session, and gives its errors in the words of the API. */
export async function holding<T>({ metrics }: Pick<AppOptions, 'metrics'>, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (toApiError(error)?.code === 'store_unavailable') metrics.add('storeFailures', 1, { use: 'session' });
    throw sessionError(error) ?? error;
  }
}

function checkRequest({ prompt, n, echo, best_of: candidates }: CompletionRequest): void {
  const several = Array.isArray(prompt) && typeof prompt[0] !== 'number';
  if (several || (n ?? 1) !== 1 || (candidates ?? 1) !== 1)
    throw badRequest('session: takes one prompt and one choice, which it continues by', 'session');
  if (echo === true)
    throw badRequest('session: echo has to be false: the session has read more than its prompt', 'echo');
}

function interruptedBefore(): ApiError {
  const message = 'The server is closing. The session is as it was before this request: send it again.';
  return new ApiError(503, 'server_error', message, 'session', 'draining');
}

function interruptedWithin(id: string): ApiError {
  const message = `The server is closing. The session ${id} has all that was given: go on with an empty prompt.`;
  return new ApiError(503, 'server_error', message, 'session', 'session_saved');
}
