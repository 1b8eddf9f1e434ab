/**
 * Mamba-2's gated RMS norm over groups of channels: y = rms(x silu(z)) weight, or y = rms(x) weight silu(z). A task is
 * a range of rows. A group is read twice, the second time from the first-level cache.
 */
import { sigmoid, silu, siluSlope } from '../lib/activations';
import { loadPart, storePart, sum } from '../lib/lanes';
import { madd } from '../lib/madd';
import { Flag } from '../program/call';
import { inverseRoot } from './rms-norm';

/** Addresses and strides are in bytes, and address 0 means that a tensor is absent. */
@unmanaged
export class GatedRmsNormCall {
  /** Dense rows. */
  x: usize;
  z: usize;
  /** Bytes from one row of z to the next. */
  zStride: usize;
  weight: usize;
  /** Dense rows; may be x itself. */
  y: usize;
  rows: i32;
  channels: i32;
  /** Channels of a group. */
  groupSize: i32;
  eps: f32;
  /** Whether the gate multiplies the normed x. */
  normBeforeGate: Flag;
  /** Rows of a task. */
  taskRows: i32;
}

export function gatedRmsNorm(call: GatedRmsNormCall, task: i32): void {
  const first = task * call.taskRows;
  const end = min(first + call.taskRows, call.rows);
  const bytes = <usize>call.groupSize << 2;
  const row = <usize>call.channels << 2;
  for (let r = first; r < end; r++) {
    const at = <usize>r * row;
    const z = call.z == 0 ? <usize>0 : call.z + <usize>r * call.zStride;
    for (let group: usize = 0; group < row; group += bytes) {
      const gate = z == 0 ? <usize>0 : z + group;
      const weight = call.weight == 0 ? <usize>0 : call.weight + group;
      if (call.normBeforeGate) normGroup(call, call.x + at + group, gate, weight, call.y + at + group);
      else gateGroup(call, call.x + at + group, gate, weight, call.y + at + group);
    }
  }
}

/** y = rms(x silu(z)) weight */
function gateGroup(call: GatedRmsNormCall, x: usize, z: usize, weight: usize, y: usize): void {
  const count = call.groupSize;
  if (z != 0) {
    gated(x, z, count, y);
    x = y;
  }
  const scale = f32x4.splat(inverseRoot(x, count, call.eps));
  for (let c = 0; c < count; c += 4) {
    const rest = count - c;
    const offset = <usize>c << 2;
    let value = f32x4.mul(loadPart(x + offset, rest), scale);
    if (weight != 0) value = f32x4.mul(value, loadPart(weight + offset, rest));
    storePart(y + offset, value, rest);
  }
}

/** y = x silu(z) */
function gated(x: usize, z: usize, count: i32, y: usize): void {
  for (let c = 0; c < count; c += 4) {
    const rest = count - c;
    const offset = <usize>c << 2;
    storePart(y + offset, f32x4.mul(loadPart(x + offset, rest), silu(loadPart(z + offset, rest))), rest);
  }
}

/** y = rms(x) weight silu(z) */
function normGroup(call: GatedRmsNormCall, x: usize, z: usize, weight: usize, y: usize): void {
  const count = call.groupSize;
  const scale = f32x4.splat(inverseRoot(x, count, call.eps));
  for (let c = 0; c < count; c += 4) {
    const rest = count - c;
    const offset = <usize>c << 2;
    let value = f32x4.mul(loadPart(x + offset, rest), scale);
    if (weight != 0) value = f32x4.mul(value, loadPart(weight + offset, rest));
    if (z != 0) value = f32x4.mul(value, silu(loadPart(z + offset, rest)));
    storePart(y + offset, value, rest);
  }
}

/** Its backward; core's operation has the equations. All tensors are dense. */
@unmanaged
export class GatedRmsNormBackwardCall {
  x: usize;
  z: usize;
  weight: usize;
  dy: usize;
  dx: usize;
  dz: usize;
  /** Partial sums `[tasks, channels]`. */
  dWeight: usize;
  rows: i32;
  channels: i32;
  groupSize: i32;
  eps: f32;
  normBeforeGate: Flag;
  /** Rows of a task. */
  taskRows: i32;
}

export function gatedRmsNormBackward(call: GatedRmsNormBackwardCall, task: i32): void {
  const first = task * call.taskRows;
  const end = min(first + call.taskRows, call.rows);
  const bytes = <usize>call.groupSize << 2;
  const row = <usize>call.channels << 2;
  const dWeight = call.dWeight == 0 ? <usize>0 : call.dWeight + <usize>task * row;
  if (dWeight != 0) memory.fill(dWeight, 0, row);
  for (let r = first; r < end; r++) {
    for (let group: usize = 0; group < row; group += bytes) {
      groupBackward(call, <usize>r * row + group, group, dWeight == 0 ? <usize>0 : dWeight + group);
    }
  }
}

/** A group of a row, at the same place of all tensors; x silu(z) lies in dx on the way. */
function groupBackward(call: GatedRmsNormBackwardCall, at: usize, group: usize, dWeight: usize): void {
  const count = call.groupSize;
  const x = call.x + at;
  const dy = call.dy + at;
  const dx = call.dx + at;
  const z = call.z == 0 ? <usize>0 : call.z + at;
  const weight = call.weight == 0 ? <usize>0 : call.weight + group;
  const gateFirst = z != 0 && !call.normBeforeGate;
  const gateLast = z != 0 && call.normBeforeGate != 0;
  let v = x;
  if (gateFirst) {
    gated(x, z, count, dx);
    v = dx;
  }
  const scale = f32x4.splat(inverseRoot(v, count, call.eps));
  let along = f32x4.splat(0);
  for (let c = 0; c < count; c += 4) {
    const rest = count - c;
    const offset = <usize>c << 2;
    const n = f32x4.mul(loadPart(v + offset, rest), scale);
    let dn = loadPart(dy + offset, rest);
    if (gateLast) dn = f32x4.mul(dn, silu(loadPart(z + offset, rest)));
    if (dWeight != 0) storePart(dWeight + offset, madd(dn, n, loadPart(dWeight + offset, rest)), rest);
    if (weight != 0) dn = f32x4.mul(dn, loadPart(weight + offset, rest));
    along = madd(dn, n, along);
  }
  const mean = f32x4.splat(sum(along) / <f32>count);
  for (let c = 0; c < count; c += 4) {
    const rest = count - c;
    const offset = <usize>c << 2;
    const n = f32x4.mul(loadPart(v + offset, rest), scale);
    const gate = z == 0 ? n : loadPart(z + offset, rest);
    let dn = loadPart(dy + offset, rest);
    if (weight != 0) dn = f32x4.mul(dn, loadPart(weight + offset, rest));
    if (gateLast) {
      storePart(call.dz + at + offset, f32x4.mul(f32x4.mul(dn, n), siluSlope(gate, sigmoid(gate))), rest);
      dn = f32x4.mul(dn, silu(gate));
    }
    let dv = f32x4.mul(f32x4.sub(dn, f32x4.mul(n, mean)), scale);
    if (gateFirst) {
      const slope = siluSlope(gate, sigmoid(gate));
      storePart(call.dz + at + offset, f32x4.mul(f32x4.mul(dv, loadPart(x + offset, rest)), slope), rest);
      dv = f32x4.mul(dv, silu(gate));
    }
    storePart(dx + offset, dv, rest);
  }
}
