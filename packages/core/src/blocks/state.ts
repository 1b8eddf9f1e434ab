/** The state of blocks by slots: shapes, checks, and the gathering and uploading that are the same for every slot. */
import { type Scope, scoped } from '../backend/scope.ts';
import type { Backend } from '../contract/backend.ts';
import { invalid } from '../contract/errors.ts';
import { type HostTensor, type Shape, sameShape, sizeOf, type Tensor } from '../contract/tensor.ts';
import type { BlockState, StateSlot } from './contract.ts';

/** Number of tokens that a slot with an extent `length` holds for a row that has been fed `position` tokens. */
export function filledRows({ window }: StateSlot, position: number): number {
  return window === undefined ? position : Math.min(position, window);
}

/** The shape `[batch, …]` of a slot whose rows have been fed `positions` tokens; undefined while it holds nothing. */
export function slotShape(slot: StateSlot, positions: readonly number[]): Shape | undefined {
  const rows = Math.max(...positions.map((position) => filledRows(slot, position)));
  if (rows === 0 && slot.shape.includes('length')) return undefined;
  return [positions.length, ...slot.shape.map((extent) => (extent === 'length' ? rows : extent))];
}

/**
 * Checks that a state has every slot, in the shape that follows from `positions`.
 * @throws MambaError `invalid-argument` where a slot is missing or of another shape.
 */
export function checkState(
  origin: string,
  slots: readonly StateSlot[],
  state: BlockState,
  positions: readonly number[],
): void {
  for (const slot of slots) {
    const expected = slotShape(slot, positions);
    const given = state[slot.name];
    if (given === undefined && expected === undefined) continue;
    if (given === undefined || expected === undefined || !sameShape(given.shape, expected))
      throw invalid(
        `${origin}.${slot.name}`,
        given === undefined ? 'nothing' : `[${given.shape?.join(', ')}]`,
        expected === undefined ? 'nothing, since no token was fed' : `[${expected.join(', ')}], ${layoutOf(slot)}`,
      );
  }
}

/** One row of a state, with the number of tokens that it has been fed. */
export interface StateRow {
  readonly state: BlockState;
  readonly row: number;
  readonly position: number;
}

/** A new state whose row i is the given row of the given state. The caller disposes it. */
export function gatherRows(backend: Backend, slots: readonly StateSlot[], rows: readonly StateRow[]): BlockState {
  return scoped((scope) => {
    const gathered: Record<string, Tensor> = {};
    for (const slot of slots) {
      const joined = gatherSlot(backend, scope, slot, rows);
      if (joined !== undefined) gathered[slot.name] = scope.own(joined);
    }
    for (const tensor of Object.values(gathered)) scope.release(tensor);
    return gathered;
  });
}

/** Uploads the values of a slot. */
export function uploadSlot(backend: Backend, data: Float32Array | Float64Array, shape: Shape): Tensor {
  const host: HostTensor =
    data instanceof Float64Array ? { dtype: 'float64', shape, data } : { dtype: 'float32', shape, data };
  return backend.upload(host);
}

export function disposeState(state: BlockState): void {
  for (const tensor of Object.values(state)) tensor.dispose();
}

function gatherSlot(backend: Backend, scope: Scope, slot: StateSlot, rows: readonly StateRow[]): Tensor | undefined {
  const shape = slotShape(
    slot,
    rows.map(({ position }) => position),
  );
  if (shape === undefined) return undefined;
  const parts = rows.flatMap(({ state, row, position }) => {
    const from = state[slot.name];
    const part = from && scope.own(backend.slice(from, 0, row, row + 1));
    return [fitted(backend, scope, slot, part, shape.with(0, 1), position)];
  });
  const joined = backend.concat(parts, 0);
  for (const part of parts) scope.drop(part);
  return joined;
}

/** One row of a slot, cut or padded with zeros along its extent `length` to fit the given shape. */
function fitted(
  backend: Backend,
  scope: Scope,
  slot: StateSlot,
  part: Tensor | undefined,
  shape: Shape,
  position: number,
): Tensor {
  const axis = slot.shape.indexOf('length') + 1;
  if (axis === 0) return part!;
  const filled = filledRows(slot, position);
  const wanted = shape[axis]!;
  const kept =
    part === undefined || filled === 0
      ? undefined
      : filled === part.shape[axis]
        ? part
        : scope.own(backend.slice(part, axis, 0, filled));
  if (filled === wanted) return kept!;
  const rest = shape.with(axis, wanted - filled);
  const zeros = scope.own(backend.upload({ dtype: 'float32', shape: rest, data: new Float32Array(sizeOf(rest)) }));
  return kept === undefined ? zeros : scope.own(backend.concat([kept, zeros], axis));
}

function layoutOf({ shape }: StateSlot): string {
  return `of a slot [batch, ${shape.join(', ')}]`;
}
