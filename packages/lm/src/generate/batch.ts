import { invalid, type MambaError, type Model, type ModelState } from '@mamba/core';
import { checkSignal, yieldToEventLoop } from '../event-loop.ts';
import { Decoder } from './decoder/decoder.ts';
import { type GeneratedToken, newSequence } from './decoder/sequence.ts';
import type { FinishReason } from './generate.ts';
import type { Generation } from './options.ts';

/** One sequence of a batch. */
export interface BatchEntry {
  readonly prompt: readonly number[];
  readonly generation: Generation;
}

export interface BatchStep<E extends BatchEntry> {
  readonly entry: E;
  readonly tokens: readonly GeneratedToken[];
  /** Set where the entry has left with these tokens. */
  readonly finishReason: FinishReason | undefined;
  /** Set where no token follows these: the entry has to leave. */
  readonly error: MambaError | undefined;
}

export interface BatchAdvance<E extends BatchEntry> {
  readonly steps: readonly BatchStep<E>[];
  /** Those whose prompt could not be read; they have left. */
  readonly failed: readonly { readonly entry: E; readonly error: unknown }[];
}

/**
 * Sequences that are generated together: they come at any time, with prompts of any lengths and options of their own,
 * and leave as they finish. Nothing is padded: rows of a batch are independent, so that each gives what it would give
 * alone (up to rounding). Prompts are read a chunk at a time between the tokens of those that generate already, so that
 * a long one holds nobody up.
 */
export class Batch<E extends BatchEntry> {
  readonly #model: Model;
  readonly #decoder: Decoder;
  /** In the order of the decoder's rows. */
  #entries: readonly E[] = [];
  readonly #done = new Map<E, number>();
  readonly #readers = new Map<E, Reader<E>>();

  constructor(model: Model) {
    this.#model = model;
    this.#decoder = new Decoder(model, [], undefined);
  }

  /** Those that generate, and those whose prompt is being read. */
  get entries(): readonly E[] {
    return [...this.#entries, ...this.#readers.keys()];
  }

  /** How many have more than so many tokens of their prompt before them. */
  countUnread(tokens: number): number {
    return [...this.#readers.values()].filter((reader) => left(reader) > tokens).length;
  }

  /** Adds one, from the longest prefix of its prompt that its cache has. */
  add(entry: E): void {
    const { prompt, generation } = entry;
    const found = generation.prefixCache?.lookup(prompt.slice(0, -1));
    const state = found?.state ?? generation.state;
    this.#readers.set(entry, { entry, state, owned: found !== undefined, fed: found?.length ?? 0 });
  }

  /** Reads a chunk of the prompts that are not read yet, and generates at least one token for each of the others. */
  async advance(): Promise<BatchAdvance<E>> {
    const failed = this.#readers.size > 0 ? await this.#read() : [];
    // Told of at once: the step may fail as well.
    return { steps: failed.length === 0 && this.#entries.length > 0 ? await this.#step() : [], failed };
  }

  /** One chunk, of as many tokens in all as the smallest of theirs says; those that have ended begin to generate. */
  async #read(): Promise<BatchAdvance<E>['failed']> {
    const failed: { readonly entry: E; readonly error: unknown }[] = [];
    // Together, and apart where that fails, so that each failure is the failing one's own.
    const attempt = async (
      readers: readonly Reader<E>[],
      act: (some: readonly Reader<E>[]) => void | Promise<void>,
    ) => {
      try {
        if (readers.length > 0) await act(readers);
      } catch (error) {
        if (readers.length > 1) {
          for (const reader of readers) await attempt([reader], act);
          return;
        }
        failed.push({ entry: readers[0]!.entry, error });
        this.leave([readers[0]!.entry]);
      }
    };
    const unread = [...this.#readers.values()].filter((reader) => left(reader) > 0);
    const tokens = Math.min(...unread.map(({ entry }) => entry.generation.chunk));
    const size = Math.max(1, Math.floor(tokens / unread.length));
    const count = Math.min(size, ...unread.map(left));
    await attempt(unread, (some) => this.#feed(some, count));
    await yieldToEventLoop();
    const ready = [...this.#readers.values()].filter((reader) => left(reader) === 0);
    await attempt(ready, (some) => this.#join(some));
    return failed;
  }

  /** Each keeps a state of its own, so that where several fail together none of them has moved. */
  async #feed(readers: readonly Reader<E>[], count: number): Promise<void> {
    const model = this.#model;
    const parts = readers.map(({ entry, fed }) => entry.prompt.slice(fed, fed + count));
    const options = { logits: 'none', chunk: count } as const;
    const [single] = readers;
    if (single !== undefined && readers.length === 1) {
      const { state, owned } = single;
      const donateState = owned && state !== undefined;
      hold(single, model.forward(parts, { ...options, state, donateState }).state);
      await model.backend.synchronize();
    } else {
      const made: ModelState[] = [];
      try {
        const before = this.#gather(readers);
        made.push(before);
        const after = model.forward(parts, { ...options, state: before, donateState: true }).state;
        made.push(after);
        await model.backend.synchronize();
        const own: ModelState[] = [];
        for (const row of readers.keys()) {
          own.push(model.gatherState([{ state: after, row }]));
          made.push(own[row]!);
        }
        for (const [row, reader] of readers.entries()) hold(reader, own[row]!);
        made.splice(2);
      } finally {
        for (const state of made) state.dispose();
      }
    }
    for (const reader of readers) reader.fed += count;
  }

  /** Their prompts are read: they generate from now on. */
  #join(readers: readonly Reader<E>[]): void {
    for (const { entry, state } of readers)
      if (state !== undefined && entry.prompt.length > 1)
        entry.generation.prefixCache?.insert(entry.prompt.slice(0, -1), state);
    const sequences = readers.map(({ entry }) => newSequence(entry.generation, entry.prompt));
    const merged = this.#gather(readers);
    try {
      this.#decoder.join(sequences, merged);
    } catch (error) {
      merged.dispose();
      throw error;
    }
    const joined = readers.map(({ entry }) => entry);
    for (const entry of joined) {
      this.#forget(entry);
      this.#done.set(entry, 0);
    }
    this.#entries = [...this.#entries, ...joined];
  }

  #gather(readers: readonly Reader<E>[]): ModelState {
    const zero = readers.some(({ state }) => state === undefined) ? this.#model.zeroState() : undefined;
    try {
      return this.#model.gatherState(readers.map(({ state }) => ({ state: state ?? zero!, row: 0 })));
    } finally {
      zero?.dispose();
    }
  }

  #forget(entry: E): void {
    const reader = this.#readers.get(entry);
    this.#readers.delete(entry);
    if (reader?.owned) reader.state?.dispose();
  }

  /** At least one token for each entry; those that finish leave. */
  async #step(): Promise<readonly BatchStep<E>[]> {
    const left = ({ generation }: E, done: number): number => generation.maxTokens - done;
    const count = Math.min(
      ...this.#entries.map((entry) => Math.min(entry.generation.block, left(entry, this.#done.get(entry)!))),
    );
    const rows = await this.#decoder.advance(count);
    const steps: BatchStep<E>[] = [];
    for (const [row, entry] of this.#entries.entries()) {
      const { tokens, failedIds } = rows[row]!;
      const stop = tokens.findIndex(({ id }) => entry.generation.stopIds.has(id));
      const done = this.#done.get(entry)! + tokens.length;
      this.#done.set(entry, done);
      const ended = done >= entry.generation.maxTokens ? 'length' : undefined;
      steps.push({
        entry,
        tokens: stop < 0 ? tokens : tokens.slice(0, stop),
        finishReason: stop < 0 ? ended : 'stop',
        error: stop < 0 && failedIds !== undefined ? await this.#decoder.explain(row, failedIds) : undefined,
      });
    }
    this.leave(steps.filter(({ finishReason }) => finishReason !== undefined).map(({ entry }) => entry));
    await yieldToEventLoop();
    return steps;
  }

  /** Takes entries out; unknown ones are left out already. */
  leave(entries: readonly E[]): void {
    for (const entry of entries) this.#forget(entry);
    const leaving = new Set(entries.filter((entry) => this.#done.has(entry)));
    if (leaving.size === 0) return;
    const staying = [...this.#entries.keys()].filter((row) => !leaving.has(this.#entries[row]!));
    // Where this fails they are all still there, to be told.
    this.#decoder.select(staying);
    this.#entries = staying.map((row) => this.#entries[row]!);
    for (const entry of leaving) this.#done.delete(entry);
  }

  dispose(): void {
    this.#entries = [];
    this.#done.clear();
    for (const entry of [...this.#readers.keys()]) this.#forget(entry);
    this.#decoder.dispose();
  }
}

/** A sequence whose prompt is being read: all of it but the last id, which is fed with the first token. */
interface Reader<E extends BatchEntry> {
  readonly entry: E;
  /** After the first `fed` ids; zero if absent. */
  state: ModelState | undefined;
  owned: boolean;
  fed: number;
}

function left<E extends BatchEntry>({ entry, fed }: Reader<E>): number {
  return entry.prompt.length - 1 - fed;
}

/** The state becomes the reader's own, in the place of the one before. */
function hold<E extends BatchEntry>(reader: Reader<E>, state: ModelState): void {
  if (reader.owned && reader.state !== state) reader.state?.dispose();
  reader.state = state;
  reader.owned = true;
}

/** What works on a single sequence only. */
export function checkBatchable({ draft }: Generation): void {
  if (draft !== undefined)
    throw invalid('generate.draft', 'a draft for a batch', 'a draft or a batch: guesses are checked for one sequence');
}

/**
 * Runs entries to their ends, all admitted at once; gives steps as they come. The consumer may `leave` entries in
 * between.
 */
export async function* runBatch<E extends BatchEntry>(
  batch: Batch<E>,
  entries: readonly E[],
): AsyncGenerator<BatchStep<E>, void, void> {
  const signals = new Set(entries.flatMap(({ generation: { signal } }) => signal ?? []));
  const check = (): void => {
    for (const signal of signals) checkSignal('generate', signal);
  };
  try {
    check();
    for (const entry of entries) batch.add(entry);
    while (batch.entries.length > 0) {
      check();
      const { steps, failed } = await batch.advance();
      if (failed.length > 0) throw failed[0]!.error;
      for (const step of steps) {
        yield step;
        // A stop string may have ended it before.
        if (step.error !== undefined && batch.entries.includes(step.entry)) throw step.error;
      }
    }
  } finally {
    batch.dispose();
  }
}
