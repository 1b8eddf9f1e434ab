/** The state of blocks by slots: shapes, checks, and the gathering and uploading that are the same for every slot. */
import { soleHandle } from '../backend/handle.ts';
import { type Scope, scoped } from '../backend/scope.ts';
import type { Backend } from '../contract/backend.ts';
import { invalid } from '../contract/errors.ts';
import { type HostTensor, type Shape, sameShape, sizeOf, type Tensor } from '../contract/tensor.ts';
import type { BlockState, StateSlot } from './contract.ts';
import { filledRows, heldRows, sharedSlot } from './growing.ts';
import { isZero, noteZeros } from './zeros.ts';

/** The shape `[batch, …]` of a slot whose rows have been fed `positions` tokens; undefined while it holds nothing. */
export function slotShape(slot: StateSlot, positions: readonly number[]): Shape | undefined {
  const rows = Math.max(...positions.map((position) => filledRows(slot, position)));
  if (rows === 0 && slot.shape.includes('length')) return undefined;
  return [positions.length, ...slot.shape.map((extent) => (extent === 'length' ? rows : extent))];
}

/**
 * Checks that a state has every slot, in the shape that follows from `positions`. A tensor that a block returned may
 * have room behind the rows of its slot.
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
    if (given !== undefined && expected !== undefined && heldRows(given) !== undefined)
      checkHeld(`${origin}.${slot.name}`, slot, given, expected, positions);
    else if (given === undefined || expected === undefined || !sameShape(given.shape, expected))
      throw invalid(
        `${origin}.${slot.name}`,
        given === undefined ? 'nothing' : `[${given.shape?.join(', ')}]`,
        expected === undefined ? 'nothing, since no token was fed' : `[${expected.join(', ')}], ${layoutOf(slot)}`,
      );
  }
}

/** Checks a tensor with room: that it holds the rows which follow from `positions`, in a state of this slot. */
function checkHeld(
  origin: string,
  slot: StateSlot,
  given: Tensor,
  expected: Shape,
  positions: readonly number[],
): void {
  const rows = heldRows(given)!;
  const axis = slot.shape.indexOf('length') + 1;
  const fits =
    rows.length === positions.length &&
    rows.every((held, row) => filledRows(slot, held) === filledRows(slot, positions[row]!));
  if (!fits || !sameShape(given.shape, expected.with(axis, given.shape[axis]!)))
    throw invalid(
      origin,
      `[${given.shape.join(', ')}] with ${rows.join(', ')} rows`,
      `[${expected.join(', ')}] after ${positions.join(', ')} tokens, ${layoutOf(slot)}`,
    );
}

/** One row of a state, with the number of tokens that it has been fed. */
export interface StateRow {
  readonly state: BlockState;
  readonly row: number;
  readonly position: number;
}

/**
 * A new state whose row i is the given row of the given state. The caller disposes it. A copy of a whole state shares
 * the memory of slots that grow (`growing.ts`).
 */
export function gatherRows(backend: Backend, slots: readonly StateSlot[], rows: readonly StateRow[]): BlockState {
  return scoped((scope) => {
    const gathered: Record<string, Tensor> = {};
    for (const slot of slots) {
      const whole = slot.shape.includes('length') ? wholeSlot(slot, rows) : undefined;
      const joined = (whole && sharedSlot(whole)) ?? gatherSlot(backend, scope, slot, rows);
      if (joined !== undefined) gathered[slot.name] = scope.own(joined);
    }
    for (const tensor of Object.values(gathered)) scope.release(tensor);
    return gathered;
  });
}

/** A slot's tensor with exactly the rows that the slot wants, as it is exported: itself or a copy in the scope. */
export function exactSlot(
  backend: Backend,
  scope: Scope,
  slot: StateSlot,
  state: BlockState,
  positions: readonly number[],
): Tensor | undefined {
  const given = state[slot.name];
  if (given === undefined || sameShape(given.shape, slotShape(slot, positions) ?? [])) return given;
  const rows = positions.map((position, row) => ({ state, row, position }));
  return scope.own(gatherSlot(backend, scope, slot, rows)!);
}

/** Uploads the values of a slot. */
export function uploadSlot(backend: Backend, data: Float32Array | Float64Array, shape: Shape): Tensor {
  const host: HostTensor =
    data instanceof Float64Array ? { dtype: 'float64', shape, data } : { dtype: 'float32', shape, data };
  const tensor = backend.upload(host);
  if (data.every((value) => value === 0)) noteZeros(tensor);
  return tensor;
}

/**
 * A second handle of a slot's tensor, whose memory a call may write to where the tensor is given away to it; undefined
 * where somebody else reads that memory.
 */
export function donatedSlot(tensor: Tensor | undefined): Tensor | undefined {
  return tensor === undefined || isZero(tensor) ? undefined : soleHandle(tensor);
}

export function disposeState(state: BlockState): void {
  for (const tensor of Object.values(state)) tensor.dispose();
}

/** The tensor of a slot whose rows are the given ones, each once and in order; undefined where there is none. */
function wholeSlot({ name }: StateSlot, rows: readonly StateRow[]): Tensor | undefined {
  const tensor = rows[0]!.state[name];
  return tensor?.shape[0] === rows.length &&
    rows.every(({ state, row }, index) => row === index && state[name] === tensor)
    ? tensor
    : undefined;
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
    return [fitted(backend, scope, slot, part, shape.with(0, 1), position, from && heldRows(from)?.[row])];
  });
  const joined = backend.concat(parts, 0);
  if (rows.every(({ state }) => isZero(state[slot.name]))) noteZeros(joined);
  for (const part of parts) scope.drop(part);
  return joined;
}

/**
 * One row of a slot, cut or padded with zeros along its extent `length` to fit the given shape. `held` is the number of
 * rows that it holds, the newest of which the slot wants.
 */
function fitted(
  backend: Backend,
  scope: Scope,
  slot: StateSlot,
  part: Tensor | undefined,
  shape: Shape,
  position: number,
  held = filledRows(slot, position),
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
        : scope.own(backend.slice(part, axis, held - filled, held));
  if (filled === wanted) return kept!;
  const rest = shape.with(axis, wanted - filled);
  const zeros = scope.own(backend.upload({ dtype: 'float32', shape: rest, data: new Float32Array(sizeOf(rest)) }));
  return kept === undefined ? zeros : scope.own(backend.concat([kept, zeros], axis));
}

function layoutOf({ shape }: StateSlot): string {
  return `of a slot [batch, ${shape.join(', ')}]`;
}
