import { invalid, isMambaError, type MambaError, type Model, type ModelState } from '@mamba/core';
import { yieldToEventLoop } from '@mamba/core/toolkit';
import { checkSignal } from '../check-signal.ts';
import { Decoder } from './decoder/decoder.ts';
import { type GeneratedToken, newSequence, type SequenceState } from './decoder/sequence.ts';
import type { FinishReason } from './generate.ts';
import type { Generation } from './options.ts';
import { CHUNK } from './prefill.ts';

export interface SchedulerRequest {
  /** The ids to begin with; there is at least one. */
  readonly prompt: readonly number[];
  readonly generation: Generation;
  /** Set for a sequence that goes on after this request. */
  readonly continued?: ContinuedSequence | undefined;
}

/** A sequence that began before a request and goes on after it. */
export interface ContinuedSequence {
  /** The ids that the penalties see: the prompt, and what came before it. */
  readonly previous: readonly number[];
  /**
   * Called with the tokens of each step.
   * @param ended Why the request ends with them, if it does.
   * @returns how many of them count, if it ends otherwise or earlier.
   */
  endAfter(tokens: readonly GeneratedToken[], ended: FinishReason | undefined): SequenceEnd | undefined;
  /**
   * Called once if the request finishes, with the state after its last token, which is the callee's to dispose. Not
   * called if the request fails or is removed.
   */
  settle(end: SequenceState): void;
}

/** Where a request ends among the tokens of a step. */
export interface SequenceEnd {
  readonly count: number;
  readonly reason: FinishReason;
}

/** What one step generated for a request. */
export interface RequestOutput<R extends SchedulerRequest> {
  readonly request: R;
  readonly tokens: readonly GeneratedToken[];
  /** Set if the request finished with these tokens; it is no longer running then. */
  readonly finishReason: FinishReason | undefined;
  /** Set if the logits after these tokens are not finite; the request must be removed then. */
  readonly error: MambaError | undefined;
}

export interface StepOutput<R extends SchedulerRequest> {
  readonly outputs: readonly RequestOutput<R>[];
  /** Requests whose prompt could not be read; they are no longer running. */
  readonly failed: readonly { readonly request: R; readonly error: unknown }[];
}

/**
 * Continuous batching: requests are added at any time, with prompts of any lengths and options of their own, and leave
 * as they finish. Nothing is padded, and the sequences of a batch are independent: each gives what it would give alone,
 * up to rounding. Prompts are prefilled one chunk at a time between the decoding steps of the other requests, so that a
 * long prompt does not hold them up.
 */
export class Scheduler<R extends SchedulerRequest> {
  readonly #model: Model;
  readonly #decoder: Decoder;
  /** In the order of the decoder's sequences. */
  #decoding: readonly R[] = [];
  /** Number of tokens generated so far, by decoding request. */
  readonly #generated = new Map<R, number>();
  readonly #prefills = new Map<R, Prefill<R>>();

  constructor(model: Model) {
    this.#model = model;
    this.#decoder = new Decoder(model, [], undefined);
  }

  /** All requests that are decoding or prefilling. */
  get running(): readonly R[] {
    return [...this.#decoding, ...this.#prefills.keys()];
  }

  /** Number of requests with more than `tokens` ids of their prompt left to read. */
  countPrefills(tokens: number): number {
    return [...this.#prefills.values()].filter((prefill) => unread(prefill) > tokens).length;
  }

  /** Starts a request from the longest prefix of its prompt in its prefix cache. */
  add(request: R): void {
    const { prompt, generation } = request;
    const found = generation.prefixCache?.lookup(prompt.slice(0, -1));
    const state = found?.state ?? generation.state;
    this.#prefills.set(request, { request, state, owned: found !== undefined, fed: found?.length ?? 0 });
  }

  /** Prefills one chunk, then generates at least one token for each decoding request. */
  async step(): Promise<StepOutput<R>> {
    const failed = this.#prefills.size > 0 ? await this.#prefill() : [];
    // Failed prompts are reported before decoding, which can throw too.
    return { outputs: failed.length === 0 && this.#decoding.length > 0 ? await this.#decode() : [], failed };
  }

  /**
   * Prefills one chunk, shared by all unread prompts: its tokens are the smallest `chunk` option among them. Requests
   * whose prompt has been read start decoding.
   */
  async #prefill(): Promise<StepOutput<R>['failed']> {
    const failed: { readonly request: R; readonly error: unknown }[] = [];
    // If several fail together, each is tried alone, so that only those that are at fault fail.
    const attempt = async (
      prefills: readonly Prefill<R>[],
      act: (some: readonly Prefill<R>[]) => void | Promise<void>,
    ) => {
      try {
        if (prefills.length > 0) await act(prefills);
      } catch (error) {
        if (prefills.length > 1) {
          for (const prefill of prefills) await attempt([prefill], act);
          return;
        }
        failed.push({ request: prefills[0]!.request, error });
        this.remove([prefills[0]!.request]);
      }
    };
    const reading = [...this.#prefills.values()].filter((prefill) => unread(prefill) > 0);
    const tokens = Math.min(...reading.map(({ request }) => request.generation.chunk ?? CHUNK));
    const size = Math.max(1, Math.floor(tokens / reading.length));
    const count = Math.min(size, ...reading.map(unread), ...reading.map(untilBoundary));
    await attempt(reading, (some) => this.#feed(some, count));
    await yieldToEventLoop();
    const ready = [...this.#prefills.values()].filter((prefill) => unread(prefill) === 0);
    await attempt(ready, (some) => this.#startDecoding(some));
    return failed;
  }

  /** Feeds `count` ids of each prompt. Each keeps a state of its own, so that a failure moves none of them. */
  async #feed(prefills: readonly Prefill<R>[], count: number): Promise<void> {
    const model = this.#model;
    const parts = prefills.map(({ request, fed }) => request.prompt.slice(fed, fed + count));
    const options = { logits: 'none', chunk: count } as const;
    const [single] = prefills;
    if (single !== undefined && prefills.length === 1) {
      const { state, owned } = single;
      const donateState = owned && state !== undefined;
      replaceState(single, model.forward(parts, { ...options, state, donateState }).state);
      await model.backend.synchronize();
    } else {
      const made: ModelState[] = [];
      try {
        const before = this.#gather(prefills);
        made.push(before);
        const after = model.forward(parts, { ...options, state: before, donateState: true }).state;
        made.push(after);
        await model.backend.synchronize();
        const own: ModelState[] = [];
        for (const row of prefills.keys()) {
          own.push(model.gatherState([{ state: after, row }]));
          made.push(own[row]!);
        }
        for (const [row, prefill] of prefills.entries()) replaceState(prefill, own[row]!);
        // The prefills own their new states from here on.
        made.splice(2);
      } finally {
        for (const state of made) state.dispose();
      }
    }
    for (const prefill of prefills) {
      const ends = untilBoundary(prefill) === count;
      prefill.fed += count;
      const { request, state, fed } = prefill;
      if (ends) request.generation.prefixCache?.insert(request.prompt.slice(0, fed), state!);
    }
  }

  #startDecoding(prefills: readonly Prefill<R>[]): void {
    for (const { request, state } of prefills)
      if (state !== undefined && request.prompt.length > 1)
        request.generation.prefixCache?.insert(request.prompt.slice(0, -1), state);
    const sequences = prefills.map(({ request }) =>
      newSequence(request.generation, request.continued?.previous ?? request.prompt),
    );
    const merged = this.#gather(prefills);
    try {
      this.#decoder.join(sequences, merged);
    } catch (error) {
      merged.dispose();
      throw error;
    }
    const joined = prefills.map(({ request }) => request);
    for (const request of joined) {
      this.#endPrefill(request);
      this.#generated.set(request, 0);
    }
    this.#decoding = [...this.#decoding, ...joined];
  }

  #gather(prefills: readonly Prefill<R>[]): ModelState {
    const zero = prefills.some(({ state }) => state === undefined) ? this.#model.zeroState() : undefined;
    try {
      return this.#model.gatherState(prefills.map(({ state }) => ({ state: state ?? zero!, row: 0 })));
    } finally {
      zero?.dispose();
    }
  }

  #endPrefill(request: R): void {
    const prefill = this.#prefills.get(request);
    this.#prefills.delete(request);
    if (prefill?.owned) prefill.state?.dispose();
  }

  /** Generates at least one token for each decoding request, and removes those that finish. */
  async #decode(): Promise<readonly RequestOutput<R>[]> {
    const left = ({ generation }: R, generated: number): number => generation.maxTokens - generated;
    const count = Math.min(
      ...this.#decoding.map((request) =>
        Math.min(request.generation.block, left(request, this.#generated.get(request)!)),
      ),
    );
    this.#decoder.keepsPrevious = this.#decoding.some(({ continued }) => continued !== undefined);
    const sequenceOutputs = await this.#decoder.advance(count);
    const outputs: RequestOutput<R>[] = [];
    for (const [row, request] of this.#decoding.entries()) {
      const { tokens, failedIds } = sequenceOutputs[row]!;
      const generated = this.#generated.get(request)! + tokens.length;
      this.#generated.set(request, generated);
      const end = endOf(request, tokens, generated);
      outputs.push({
        request,
        tokens: tokens.slice(0, end?.count),
        ...(end === undefined
          ? { finishReason: undefined, error: failedIds && (await this.#decoder.explain(row, failedIds)) }
          : this.#settle(row, request, end)),
      });
    }
    this.remove(outputs.filter(({ finishReason }) => finishReason !== undefined).map(({ request }) => request));
    await yieldToEventLoop();
    return outputs;
  }

  /** Hands the state of a finished request to its sequence; it fails if its state cannot be copied. */
  #settle(
    row: number,
    { continued }: R,
    { count, reason }: SequenceEnd,
  ): Pick<RequestOutput<R>, 'finishReason' | 'error'> {
    try {
      continued?.settle(this.#decoder.copyRow(row, count));
      return { finishReason: reason, error: undefined };
    } catch (error) {
      if (!isMambaError(error)) throw error;
      return { finishReason: undefined, error };
    }
  }

  /** Removes requests and frees their states; ignores those that are not running. */
  remove(requests: readonly R[]): void {
    for (const request of requests) this.#endPrefill(request);
    const removed = new Set(requests.filter((request) => this.#generated.has(request)));
    if (removed.size === 0) return;
    const kept = [...this.#decoding.keys()].filter((row) => !removed.has(this.#decoding[row]!));
    // If this throws, all are still running, so that the caller can report the error to each.
    this.#decoder.select(kept);
    this.#decoding = kept.map((row) => this.#decoding[row]!);
    for (const request of removed) this.#generated.delete(request);
  }

  dispose(): void {
    this.#decoding = [];
    this.#generated.clear();
    for (const request of [...this.#prefills.keys()]) this.#endPrefill(request);
    this.#decoder.dispose();
  }
}

/** A request whose prompt is being read, up to its last id, which is fed by the first decoding step. */
interface Prefill<R extends SchedulerRequest> {
  readonly request: R;
  /** The state after the first `fed` ids; zero if absent. */
  state: ModelState | undefined;
  owned: boolean;
  fed: number;
}

/** Number of ids to feed before decoding starts. */
function unread<R extends SchedulerRequest>({ request, fed }: Prefill<R>): number {
  return request.prompt.length - 1 - fed;
}

/** Number of ids up to the next state that the prefix cache is to hold. */
function untilBoundary<R extends SchedulerRequest>({ request, fed }: Prefill<R>): number {
  return (request.generation.prefixCache?.nextBoundary(fed) ?? Number.POSITIVE_INFINITY) - fed;
}

/** @param generated Number of all tokens of the request. @returns undefined if it goes on. */
function endOf(
  { generation, continued }: SchedulerRequest,
  tokens: readonly GeneratedToken[],
  generated: number,
): SequenceEnd | undefined {
  const stop = tokens.findIndex(({ id }) => generation.stopIds.has(id));
  const count = stop < 0 ? tokens.length : stop;
  const full = generated >= generation.maxTokens ? 'length' : undefined;
  const reason = stop < 0 ? full : 'stop';
  return continued?.endAfter(tokens.slice(0, count), reason) ?? (reason && { count, reason });
}

function replaceState<R extends SchedulerRequest>(prefill: Prefill<R>, state: ModelState): void {
  if (prefill.owned && prefill.state !== state) prefill.state?.dispose();
  prefill.state = state;
  prefill.owned = true;
}

/** @throws MambaError `invalid-argument` for options that work on a single sequence only. */
export function checkBatchable({ draft }: Generation): void {
  if (draft !== undefined)
    throw invalid('generate.draft', 'a draft for a batch', 'a draft or a batch: guesses are checked for one sequence');
}

/**
 * Runs requests to their ends, all from the first step on. Gives their outputs as they come; the consumer may `remove`
 * requests from the scheduler in between. The scheduler is disposed at the end.
 */
export async function* runRequests<R extends SchedulerRequest>(
  scheduler: Scheduler<R>,
  requests: readonly R[],
): AsyncGenerator<RequestOutput<R>, void, void> {
  const signals = new Set(requests.flatMap(({ generation: { signal } }) => signal ?? []));
  const check = (): void => {
    for (const signal of signals) checkSignal('generate', signal);
  };
  try {
    check();
    for (const request of requests) scheduler.add(request);
    while (scheduler.running.length > 0) {
      check();
      const { outputs, failed } = await scheduler.step();
      if (failed.length > 0) throw failed[0]!.error;
      for (const output of outputs) {
        yield output;
        // The consumer removes a request at a stop string, which may come before the tokens that failed.
        if (output.error !== undefined && scheduler.running.includes(output.request)) throw output.error;
      }
    }
  } finally {
    scheduler.dispose();
  }
}
