/**
 * One step of AdamW in place. With g = gradient · min(1, maxNorm / (norm + 1e-6)):
 *
 *     first = beta1 first + (1 - beta1) g                    second = beta2 second + (1 - beta2) g²
 *     parameter = keep parameter - rate first / (correction sqrt(second) + eps)
 *
 * where the host gives keep = 1 - learningRate weightDecay, rate = learningRate / (1 - beta1^step) and correction = 1 /
 * sqrt(1 - beta2^step). Nothing is written where the norm is not finite. The parameter may be a float32 matrix in
 * panels, whose rows are then gathered and scattered; all else is row-major. Everything is read and written once.
 */
import { loadPart, storePart } from '../lib/lanes';
import { madd } from '../lib/madd';
import { Flag } from '../program/call';

/** Addresses are in bytes. */
@unmanaged
export class AdamwCall {
  parameter: usize;
  gradient: usize;
  first: usize;
  second: usize;
  /** 0 means that there is none. */
  norm: usize;
  maxNorm: f32;
  beta1: f32;
  /** 1 - beta1 */
  fresh1: f32;
  beta2: f32;
  /** 1 - beta2 */
  fresh2: f32;
  eps: f32;
  keep: f32;
  rate: f32;
  correction: f32;
  /** The parameter's extents; one row where it is not a matrix in panels. */
  rows: i32;
  columns: i32;
  panels: Flag;
  /** A task is so many values of one row. */
  taskColumns: i32;
}

export function adamw(call: AdamwCall, task: i32): void {
  let scale: f32 = 1;
  if (call.norm != 0) {
    const norm = load<f32>(call.norm);
    if (!isFinite(norm)) return;
    scale = min<f32>(1, call.maxNorm / (norm + 1e-6));
  }
  const ranges = (call.columns + call.taskColumns - 1) / call.taskColumns;
  const row = <usize>(task / ranges);
  const from = (task % ranges) * call.taskColumns;
  const count = min(call.taskColumns, call.columns - from);
  const offset = (row * <usize>call.columns + <usize>from) << 2;
  const gradient = call.gradient + offset;
  const first = call.first + offset;
  const second = call.second + offset;
  const scales = f32x4.splat(scale);
  const beta1 = f32x4.splat(call.beta1);
  const fresh1 = f32x4.splat(call.fresh1);
  const beta2 = f32x4.splat(call.beta2);
  const fresh2 = f32x4.splat(call.fresh2);
  const eps = f32x4.splat(call.eps);
  const keep = f32x4.splat(call.keep);
  const rate = f32x4.splat(call.rate);
  const correction = f32x4.splat(call.correction);
  // In a panel of 16 rows, the next value of a row is 64 bytes on.
  const panel = call.parameter + (row >> 4) * (<usize>call.columns << 6) + (<usize>from << 6) + ((row & 15) << 2);
  for (let index = 0; index < count; index += 4) {
    const rest = count - index;
    const at = <usize>index << 2;
    const g = f32x4.mul(loadPart(gradient + at, rest), scales);
    const m = madd(fresh1, g, f32x4.mul(beta1, loadPart(first + at, rest)));
    const v = madd(f32x4.mul(fresh2, g), g, f32x4.mul(beta2, loadPart(second + at, rest)));
    storePart(first + at, m, rest);
    storePart(second + at, v, rest);
    const change = f32x4.div(f32x4.mul(rate, m), madd(correction, f32x4.sqrt(v), eps));
    if (!call.panels) {
      const place = call.parameter + offset + at;
      storePart(place, f32x4.sub(f32x4.mul(keep, loadPart(place, rest)), change), rest);
      continue;
    }
    const place = panel + (at << 4);
    updateLane(place, keep, f32x4.extract_lane(change, 0));
    if (rest > 1) updateLane(place + 64, keep, f32x4.extract_lane(change, 1));
    if (rest > 2) updateLane(place + 128, keep, f32x4.extract_lane(change, 2));
    if (rest > 3) updateLane(place + 192, keep, f32x4.extract_lane(change, 3));
  }
}

/** @inline */
function updateLane(place: usize, keep: v128, change: f32): void {
  store<f32>(place, f32x4.extract_lane(keep, 0) * load<f32>(place) - change);
}
