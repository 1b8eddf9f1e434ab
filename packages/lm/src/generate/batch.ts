import { invalid, type Model, type ModelState } from '@mamba/core';
import { checkSignal, yieldToEventLoop } from '../event-loop.ts';
import { Decoder, type GeneratedToken, newRow } from './decoder.ts';
import type { FinishReason } from './generate.ts';
import type { Generation } from './options.ts';
import { prefillRows } from './prefill.ts';

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
}

/**
 * Sequences that are generated together: they come at any time, with prompts of any lengths and options of their own, and leave as they
 * finish. Nothing is padded: rows of a batch are independent, so that each gives what it would give alone (up to rounding).
 */
export class Batch<E extends BatchEntry> {
  readonly #model: Model;
  readonly #decoder: Decoder;
  /** In the order of the decoder's rows. */
  #entries: readonly E[] = [];
  readonly #done = new Map<E, number>();

  constructor(model: Model) {
    this.#model = model;
    this.#decoder = new Decoder(model, [], undefined);
  }

  get entries(): readonly E[] {
    return this.#entries;
  }

  /** Reads their prompts, together, and adds them. Where that fails the batch is as it was. */
  async admit(entries: readonly E[], signal?: AbortSignal): Promise<void> {
    if (entries.length === 0) return;
    const found = entries.map(({ prompt, generation }) => generation.prefixCache?.lookup(prompt.slice(0, -1)));
    let state: ModelState;
    try {
      const rows = entries.map(({ prompt, generation }, row) => ({
        ids: prompt.slice(found[row]?.length ?? 0, -1),
        state: found[row]?.state ?? generation.state,
      }));
      const chunk = Math.min(...entries.map(({ generation }) => generation.chunk));
      state = await prefillRows(this.#model, rows, { chunk, signal });
    } finally {
      for (const known of found) known?.state.dispose();
    }
    try {
      for (const [row, { prompt, generation }] of entries.entries()) {
        if (generation.prefixCache === undefined || prompt.length === 1) continue;
        const own = this.#model.gatherState([{ state, row }]);
        try {
          generation.prefixCache.insert(prompt.slice(0, -1), own);
        } finally {
          own.dispose();
        }
      }
      const rows = entries.map(({ prompt, generation }) => newRow(generation, prompt));
      this.#decoder.join(rows, state);
    } catch (error) {
      state.dispose();
      throw error;
    }
    this.#entries = [...this.#entries, ...entries];
    for (const entry of entries) this.#done.set(entry, 0);
  }

  /** At least one token for each entry; those that finish leave. */
  async step(): Promise<readonly BatchStep<E>[]> {
    const left = ({ generation }: E, done: number): number => generation.maxTokens - done;
    const count = Math.min(
      ...this.#entries.map((entry) => Math.min(entry.generation.block, left(entry, this.#done.get(entry)!))),
    );
    const tokens = await this.#decoder.advance(count);
    const steps = this.#entries.map((entry, row): BatchStep<E> => {
      const drawn = tokens[row]!;
      const stop = drawn.findIndex(({ id }) => entry.generation.stopIds.has(id));
      if (stop >= 0) return { entry, tokens: drawn.slice(0, stop), finishReason: 'stop' };
      const done = this.#done.get(entry)! + drawn.length;
      this.#done.set(entry, done);
      return { entry, tokens: drawn, finishReason: done >= entry.generation.maxTokens ? 'length' : undefined };
    });
    this.leave(steps.filter(({ finishReason }) => finishReason !== undefined).map(({ entry }) => entry));
    await yieldToEventLoop();
    return steps;
  }

  /** Takes entries out; unknown ones are left out already. */
  leave(entries: readonly E[]): void {
    const leaving = new Set(entries.filter((entry) => this.#done.delete(entry)));
    if (leaving.size === 0) return;
    const staying = [...this.#entries.keys()].filter((row) => !leaving.has(this.#entries[row]!));
    this.#entries = staying.map((row) => this.#entries[row]!);
    this.#decoder.select(staying);
  }

  dispose(): void {
    this.#entries = [];
    this.#done.clear();
    this.#decoder.dispose();
  }
}

/** What works on a single sequence only. */
export function checkBatchable({ draft }: Generation): void {
  if (draft !== undefined)
    throw invalid('generate.draft', 'a draft for a batch', 'a draft or a batch: guesses are checked for one sequence');
}

/** Runs entries to their ends, all admitted at once; gives steps as they come. The consumer may `leave` entries in between. */
export async function* runBatch<E extends BatchEntry>(
  batch: Batch<E>,
  entries: readonly E[],
): AsyncGenerator<BatchStep<E>, void, void> {
  const check = (): void => {
    for (const { generation } of batch.entries.length > 0 ? batch.entries : entries)
      checkSignal('generate', generation.signal);
  };
  try {
    check();
    const signals = entries.flatMap(({ generation: { signal } }) => (signal === undefined ? [] : [signal]));
    await batch.admit(entries, signals.length > 0 ? AbortSignal.any(signals) : undefined);
    while (batch.entries.length > 0) {
      check();
      for (const step of await batch.step()) yield step;
    }
  } finally {
    batch.dispose();
  }
}
