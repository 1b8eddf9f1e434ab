import { invalid, type Model, type ModelState } from '@mamba/core';
import { checkInteger, yieldToEventLoop } from '@mamba/core/toolkit';
import { checkSignal } from '../check-signal.ts';

/**
 * Tokens fed at once where the backend has no preference, where a prefix cache keeps a state for each chunk, and where
 * other requests wait meanwhile.
 */
export const CHUNK = 256;

/** How a prompt is fed. */
export interface PrefillOptions {
  /** The state before the ids; zero if absent. It is not changed. */
  readonly state?: ModelState | undefined;
  /** Tokens fed at once; bounds memory. Default: what the backend prefers, or 256. */
  readonly chunk?: number | undefined;
  /** Stops between two chunks. */
  readonly signal?: AbortSignal | undefined;
  /** Called after each chunk with the numbers of ids fed and of all ids. */
  readonly onProgress?: ((fed: number, total: number) => void) | undefined;
  /** Called after each chunk with the state, which the callee may copy but not keep, and the number of ids fed. */
  readonly onState?: ((state: ModelState, fed: number) => void) | undefined;
}

/**
 * Feeds ids in chunks and waits for each, so that memory is constant in length and other work can run in between.
 * @param ids At least one.
 * @returns the state after them, the caller's to dispose.
 * @throws MambaError `invalid-argument`, `aborted`, and what the backend throws. After an error nothing is left on the
 * backend.
 */
export async function prefill(model: Model, ids: ArrayLike<number>, options: PrefillOptions = {}): Promise<ModelState> {
  const { state, chunk = model.preferredChunk(1) ?? CHUNK, signal, onProgress, onState } = options;
  checkInteger('prefill.chunk', chunk, 1);
  if (!(ids?.length > 0)) throw invalid('prefill.ids', 'no tokens', 'at least one id');
  let current: ModelState | undefined;
  try {
    for (let start = 0; start < ids.length; start += chunk) {
      checkSignal('prefill', signal);
      const part = Array.prototype.slice.call(ids, start, start + chunk) as number[];
      current = feed(model, [part], current ?? state, current !== undefined);
      await model.backend.synchronize();
      await yieldToEventLoop();
      const fed = Math.min(start + chunk, ids.length);
      onState?.(current, fed);
      onProgress?.(fed, ids.length);
    }
    return current!;
  } catch (error) {
    current?.dispose();
    throw error;
  }
}

/**
 * Feeds sequences of any lengths without padding: all of them up to the length of the shortest, then the remaining ones
 * up to the next length, and so on.
 * @returns one state, whose row i is the state after the ids of sequence i; the caller's to dispose. A sequence without
 * ids gives its own state, or zero.
 * @throws MambaError as `prefill`.
 */
export async function prefillRows(
  model: Model,
  rows: readonly { readonly ids: readonly number[]; readonly state?: ModelState | undefined }[],
  options: Pick<PrefillOptions, 'chunk' | 'signal'> = {},
): Promise<ModelState> {
  const { chunk = model.preferredChunk(Math.max(1, rows.length)) ?? CHUNK, signal } = options;
  const owned = new Set<ModelState>();
  const own = (state: ModelState): ModelState => {
    owned.add(state);
    return state;
  };
  const drop = (state: ModelState): void => {
    owned.delete(state);
    state.dispose();
  };
  try {
    const zero = own(model.zeroState());
    const finished = new Map<number, ModelState>();
    let active = rows.map((_, row) => row);
    let state = own(model.gatherState(rows.map((row) => ({ state: row.state ?? zero, row: 0 }))));
    for (let fed = 0; ; ) {
      const next = Math.min(...active.map((row) => rows[row]!.ids.length));
      for (; fed < next; ) {
        checkSignal('prefill', signal);
        const end = Math.min(fed + chunk, next);
        const parts = active.map((row) => rows[row]!.ids.slice(fed, end));
        const fedState = own(feed(model, parts, state, true));
        owned.delete(state);
        state = fedState;
        await model.backend.synchronize();
        await yieldToEventLoop();
        fed = end;
      }
      const left = active.filter((row) => rows[row]!.ids.length > fed);
      for (const [index, row] of active.entries())
        if (!left.includes(row)) finished.set(row, own(model.gatherState([{ state, row: index }])));
      if (left.length === 0) break;
      const rest = own(model.gatherState(left.map((row) => ({ state, row: active.indexOf(row) }))));
      drop(state);
      state = rest;
      active = left;
    }
    return model.gatherState(rows.map((_, row) => ({ state: finished.get(row)!, row: 0 })));
  } finally {
    for (const state of owned) state.dispose();
  }
}

function feed(
  model: Model,
  rows: readonly (readonly number[])[],
  state: ModelState | undefined,
  donateState: boolean,
): ModelState {
  return model.forward(rows, { state, donateState, logits: 'none', chunk: rows[0]!.length }).state;
}
