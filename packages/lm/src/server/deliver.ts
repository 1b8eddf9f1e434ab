import { setMaxListeners } from 'node:events';
import type { HttpBindings } from '@hono/node-server';
import type { Context } from 'hono';
import { streamSSE } from 'hono/streaming';
import type { GeneratedPiece } from '../generate/pieces.ts';
import type { Answer } from './answer.ts';
import { type ApiError, errorBody, toApiError } from './errors.ts';
import type { Metrics } from './metrics.ts';

export type Env = { Bindings: HttpBindings };

/** Cancels a request when the client disconnects or the server closes. */
export interface Cancellation {
  /** Aborts this request only. */
  readonly controller: AbortController;
  readonly signal: AbortSignal;
}

/** @param closing Aborts all requests. */
export function cancelWithClient(c: Context<Env>, closing: AbortSignal): Cancellation {
  const controller = new AbortController();
  const { outgoing } = c.env;
  // Also emitted after a complete answer, when there is nothing left to abort.
  outgoing.once('close', () => controller.abort());
  if (outgoing.closed) controller.abort();
  const either = AbortSignal.any([closing, controller.signal]);
  // Each choice adds a listener.
  setMaxListeners(0, either);
  return { controller, signal: either };
}

/** A generation that has been started, so that it is in the batch or its queue. */
export interface Running {
  /** Index of its choice. */
  readonly index: number;
  readonly pieces: AsyncGenerator<GeneratedPiece, void, void>;
  readonly first: Promise<IteratorResult<GeneratedPiece, void>>;
}

/** Starts a generation by reading its first piece. */
export function startReading(index: number, pieces: Running['pieces']): Running {
  const first = pieces.next();
  // It may fail before `consume` awaits it.
  first.catch(() => {});
  return { index, pieces, first };
}

export interface Delivery {
  readonly running: readonly Running[];
  readonly answer: Answer;
  readonly stream: boolean;
  readonly controller: AbortController;
  readonly metrics: Metrics;
  /** Called when all pieces have been read, before the client is told the end. What it throws is the client's. */
  readonly finish: () => Promise<void>;
  /** Called at the end, whatever has happened. */
  readonly release: () => Promise<void>;
  /** The error for the client. */
  readonly toClientError: (error: unknown) => ApiError;
}

/** Answers a request as a whole or as a stream, from generations that have been started. */
export async function deliver(c: Context<Env>, delivery: Delivery): Promise<Response> {
  const { answer, finish, release, toClientError } = delivery;
  if (!delivery.stream) {
    try {
      await consume(delivery, async (index, piece) => {
        answer.push(index, piece);
      });
      await finish();
      return c.json(answer.whole());
    } finally {
      await release();
    }
  }
  return streamSSE(c, async (stream) => {
    const send = async (chunks: readonly object[]): Promise<void> => {
      for (const chunk of chunks) await stream.writeSSE({ data: JSON.stringify(chunk) });
    };
    try {
      await send(answer.opening());
      await consume(delivery, async (index, piece) => {
        const chunk = answer.push(index, piece);
        if (chunk !== undefined) await send([chunk]);
      });
      await finish();
      await send(answer.closing());
      await stream.writeSSE({ data: '[DONE]' });
    } catch (error) {
      // The status has been sent. OpenAI's clients look for `error` in a chunk.
      await send([errorBody(toClientError(error))]);
    } finally {
      await release();
    }
  });
}

/** Reads all generations to their ends; if one fails, the others are aborted. */
async function consume(
  { running, controller, metrics }: Delivery,
  take: (index: number, piece: GeneratedPiece) => Promise<void>,
): Promise<void> {
  const results = await Promise.allSettled(
    running.map(async ({ index, pieces, first }) => {
      const time = stopwatch(metrics);
      try {
        for (let next = await first; !next.done; next = await pieces.next()) {
          if (next.value.id !== undefined) time();
          await take(index, next.value);
        }
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

/** @returns a function that is to be called at each token, and counts it with the time since the one before. */
function stopwatch(metrics: Metrics): () => void {
  let before = performance.now();
  let name: 'firstToken' | 'nextToken' = 'firstToken';
  return () => {
    const now = performance.now();
    metrics.observe(name, now - before);
    metrics.add('generatedTokens', 1);
    before = now;
    name = 'nextToken';
  };
}
