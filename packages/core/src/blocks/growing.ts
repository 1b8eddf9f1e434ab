/**
 * Tensors of slots that grow. Such a tensor may have room behind the rows that it holds, and several states may have
 * handles of the same memory: each reads its own rows alone, which nobody overwrites. The state that has all rows that
 * were written so far continues in place, behind them; every other state copies its rows first. So a step of a sequence
 * writes one row, a clone costs nothing until it continues, and a call that fails leaves every state as it was.
 */
import { memoryOf, sharedHandle } from '../backend/handle.ts';
import type { Scope } from '../backend/scope.ts';
import type { Backend } from '../contract/backend.ts';
import { invalid, MambaError } from '../contract/errors.ts';
import type { Shape, Tensor } from '../contract/tensor.ts';
import type { StateSlot } from './contract.ts';

/** Number of tokens that a slot with an extent `length` holds for a row that has been fed `position` tokens. */
export function filledRows({ window }: Pick<StateSlot, 'window'>, position: number): number {
  return window === undefined ? position : Math.min(position, window);
}

/**
 * The rows that a tensor holds, from index 0, for each row of the batch: all that a slot wants, and with a window some
 * older ones before them. Undefined for a tensor that holds what the slot wants and no more.
 */
export function heldRows(tensor: Tensor): readonly number[] | undefined {
  return held.get(tensor);
}

/** A second handle of a slot's tensor, which the caller disposes; undefined where there can be none. */
export function sharedSlot(tensor: Tensor): Tensor | undefined {
  const shared = sharedHandle(tensor);
  const rows = held.get(tensor);
  if (shared !== undefined && rows !== undefined) held.set(shared, rows);
  return shared;
}

/** Slots of a block after some rows were appended to each. */
export interface Appended {
  /** `[batch, capacity, …]` of each slot: `before` rows, and then the new ones. */
  readonly tensors: readonly Tensor[];
  /** What the state after the call holds of each: the same, or a copy of its last rows. */
  readonly state: readonly Tensor[];
  /** The index of the first new row in all tensors, for each row of the batch. */
  readonly before: readonly number[];
}

/**
 * Appends rows to slots of one block whose rows of the batch have been fed `positions` tokens: `[batch, length, …]` to
 * each. Before the first token there are no states, and the results are `rows` themselves. All results belong to the
 * scope.
 * @throws MambaError `invalid-argument` on states that no single call returned, `unsupported` for rows of unequal age
 * where gradients are recorded.
 */
export function appendRows(
  backend: Backend,
  scope: Scope,
  slot: Pick<StateSlot, 'window'>,
  states: readonly (Tensor | undefined)[],
  rows: readonly Tensor[],
  positions: readonly number[],
): Appended {
  const { given, before } = beforeAppending(slot, states, rows.length, positions);
  if (rows.some((tensor) => memoryOf(tensor) === undefined)) return recorded(backend, scope, slot, given, rows, before);
  if (given.length > 0)
    return inPlace(backend, scope, given, rows, before) ?? copied(backend, scope, slot, given, rows, before);
  const tensors = rows.map((tensor) => holding(tensor, new Array<number>(positions.length).fill(tensor.shape[1]!)));
  return { tensors, state: tensors, before };
}

/** How a fused form makes and copies tensors of slots. */
export interface SlotMemory {
  /** Makes a tensor. Its values do not matter, since whoever asks for it writes what it reads. */
  allocate(shape: Shape): Tensor;
  /** Copies `count` rows from `first` on, of each row of the batch, to the beginning of another tensor. */
  copyRows(from: Tensor, to: Tensor, first: number, count: number): void;
}

/**
 * As `appendRows`, for a fused form that writes the new rows itself, from `before` of the results on. Where it does not
 * get that far, the states before are as they were, and copy their rows when they go on.
 * @param shape `[batch, length, …]` of the new rows.
 * @throws MambaError `invalid-argument` on states that no single call returned.
 */
export function extendRows(
  scope: Scope,
  slot: Pick<StateSlot, 'window'>,
  states: readonly (Tensor | undefined)[],
  shape: Shape,
  positions: readonly number[],
  memory: SlotMemory,
): Appended {
  const { given, before } = beforeAppending(slot, states, states.length, positions);
  const length = shape[1]!;
  const behind = given.length > 0 ? placesBehind(given, length, before) : undefined;
  if (behind !== undefined) {
    const tensors = given.map((state) => scope.own(holding(sharedHandle(state)!, behind)));
    return { tensors, state: tensors, before };
  }
  const { dropped, kept, after } = moved(slot, before, length);
  const most = Math.max(...kept);
  const capacity = most + length + (given.length > 0 ? roomBehind(most) : Math.min(length, MOST_ROOM));
  const tensors = states.map((state) => {
    const tensor = scope.own(memory.allocate(shape.with(1, capacity)));
    if (state !== undefined) memory.copyRows(state, tensor, dropped, most);
    return holding(tensor, after);
  });
  return { tensors, state: tensors, before: kept };
}

/** int32 `[batch]` of counts that differ, or the one count that all rows have, as operations take an offset. */
export function offsetsOf(
  backend: Backend,
  scope: Scope,
  counts: readonly number[],
): { readonly offset: number; readonly offsets?: undefined } | { readonly offsets: Tensor } {
  if (uniform(counts)) return { offset: counts[0]! };
  const data = Int32Array.from(counts);
  return { offsets: scope.own(backend.upload({ dtype: 'int32', shape: [counts.length], data })) };
}

/** Whether all counts are the same. */
export function uniform(counts: readonly number[]): boolean {
  return counts.every((count) => count === counts[0]);
}

/** The rows that each handle holds. */
const held = new WeakMap<Tensor, readonly number[]>();
/** The rows that were written to each memory. */
const written = new WeakMap<object, readonly number[]>();

/** Most rows of room, unless a quarter of the rows is more. */
const MOST_ROOM = 1024;

type Counts = readonly number[];

function sameCounts(a: Counts, b: Counts): boolean {
  return a.every((count, row) => count === b[row]);
}

function heldBy(slot: Pick<StateSlot, 'window'>, state: Tensor, positions: Counts): Counts {
  return held.get(state) ?? positions.map((position) => filledRows(slot, position));
}

/** Notes which rows a tensor holds, and that its memory holds no others. */
function holding(tensor: Tensor, rows: Counts): Tensor {
  held.set(tensor, rows);
  written.set(memoryOf(tensor)!, rows);
  return tensor;
}

/** Rows of room behind a copy. Room grows with the rows, so that few are copied for each that is appended. */
function roomBehind(rows: number): number {
  return Math.min(rows, Math.max(MOST_ROOM, Math.floor(rows / 4)));
}

/** The states that are there, and the rows that all of them hold. */
function beforeAppending(
  slot: Pick<StateSlot, 'window'>,
  states: readonly (Tensor | undefined)[],
  slots: number,
  positions: Counts,
): { readonly given: readonly Tensor[]; readonly before: Counts } {
  const given = states.filter((state) => state !== undefined);
  const [before = positions.map(() => 0), ...others] = given.map((state) => heldBy(slot, state, positions));
  if (given.length % slots !== 0 || others.some((counts) => !sameCounts(counts, before)))
    throw invalid('block.state', 'tensors of several states', 'the state that one call returned');
  return { given, before };
}

/**
 * The rows that states hold after new ones were written behind those that they hold; undefined where they do not hold
 * all that were written, or have no room.
 */
function placesBehind(states: readonly Tensor[], length: number, before: Counts): Counts | undefined {
  const after = before.map((count) => count + length);
  const most = Math.max(...after);
  const fit = states.every((state) => {
    const memory = memoryOf(state);
    const last = memory && written.get(memory);
    return last !== undefined && most <= state.shape[1]! && sameCounts(last, before);
  });
  return fit ? after : undefined;
}

/**
 * The rows that a copy holds, before and after new ones are written behind them. All rows of the batch lose as many of
 * their oldest rows, so that one copy serves them.
 */
function moved(
  { window = Number.POSITIVE_INFINITY }: Pick<StateSlot, 'window'>,
  before: Counts,
  length: number,
): { readonly dropped: number; readonly kept: Counts; readonly after: Counts } {
  const dropped = Math.max(0, Math.min(...before) - window);
  const kept = before.map((count) => count - dropped);
  return { dropped, kept, after: kept.map((count) => count + length) };
}

/** Writes behind the rows of states that hold all that were written, where there is room; undefined elsewhere. */
function inPlace(
  backend: Backend,
  scope: Scope,
  states: readonly Tensor[],
  rows: readonly Tensor[],
  before: Counts,
): Appended | undefined {
  const after = placesBehind(states, rows[0]!.shape[1]!, before);
  if (after === undefined) return undefined;
  const where = offsetsOf(backend, scope, before);
  const tensors = states.map((state, index) => {
    backend.writeRows(state, rows[index]!, where);
    return scope.own(holding(sharedHandle(state)!, after));
  });
  return { tensors, state: tensors, before };
}

/** Copies the rows that the slot wants, with the new ones behind them, and room for others. */
function copied(
  backend: Backend,
  scope: Scope,
  slot: Pick<StateSlot, 'window'>,
  states: readonly Tensor[],
  rows: readonly Tensor[],
  before: Counts,
): Appended {
  const { dropped, kept, after } = moved(slot, before, rows[0]!.shape[1]!);
  const most = Math.max(...before);
  const space = roomBehind(most - dropped);
  const where = offsetsOf(backend, scope, kept);
  const tensors = states.map((state, index) => {
    const added = rows[index]!;
    const whole = dropped === 0 && most === state.shape[1];
    const old = whole ? state : scope.own(backend.slice(state, 1, dropped, most));
    // What the room holds does not matter, so it is a copy of some rows.
    const room = space === old.shape[1] ? old : scope.own(backend.slice(old, 1, 0, space));
    const tensor = scope.own(backend.concat([old, added, room], 1));
    if (room !== old) scope.drop(room);
    if (!whole) scope.drop(old);
    if (where.offsets !== undefined) backend.writeRows(tensor, added, where);
    return holding(tensor, after);
  });
  return { tensors, state: tensors, before: kept };
}

/** As `copied`, by operations that have gradients: nothing is written in place, and there is no room. */
function recorded(
  backend: Backend,
  scope: Scope,
  { window = Number.POSITIVE_INFINITY }: Pick<StateSlot, 'window'>,
  states: readonly Tensor[],
  rows: readonly Tensor[],
  before: Counts,
): Appended {
  if (!uniform(before))
    throw new MambaError('unsupported', 'gradients flow through sequences of equal age alone', {
      origin: 'block.state',
      given: `rows after ${before.join(', ')} tokens`,
      remedy: 'Train rows of unequal age in batches of their own.',
    });
  const length = before[0]! + rows[0]!.shape[1]!;
  const last = (tensor: Tensor, start: number, end: number): Tensor =>
    start === 0 && end === tensor.shape[1] ? tensor : scope.own(backend.slice(tensor, 1, start, end));
  const tensors = rows.map((added, index) => {
    const old = states[index] && last(states[index], 0, before[0]!);
    return old === undefined ? added : scope.own(backend.concat([old, added], 1));
  });
  return { tensors, state: tensors.map((tensor) => last(tensor, Math.max(0, length - window), length)), before };
}
