/**
 * Layouts of a matrix `[outputs, inputs]`. ROWS is row-major float32, like any other tensor. All other layouts are
 * panels of 16 outputs, one after the other, each `[inputs, 16]`: one stream, in the order in which a product with a
 * vector or a matrix reads it; outputs beyond the last are zero.
 *
 * | layout | a panel |
 * | --- | --- |
 * | FLOAT32 | `[inputs][16]` values |
 * | FLOAT16, BFLOAT16 | `[inputs][2][4][2]` values, see `halfPlace` |
 * | Q8 | for each 32 inputs: 16 bfloat16 scales, then int8 `[16 pairs of inputs][16 outputs][2]`: 8.5 bits a weight |
 * | Q4 | for each 32 inputs: 16 bfloat16 scales, then 256 nibbles, see `nibblePlace`: 4.5 bits a weight |
 *
 * A scale is rounded away from zero, and the integers are rounded for that scale, so its 8 bits cost no accuracy.
 */
import {
  bfloat16ToFloat32, float16ToFloat32, float32ToBfloat16, float32ToFloat16, lowerBfloat16, lowerFloat16, rebias,
  upperBfloat16, upperFloat16,
} from '../lib/half';
import { Mask, mask } from '../lib/constants';
import { transpose, transposeMatrix } from '../lib/lanes';

/** Outputs of a panel. */
export const PANEL = 16; // host
/** Inputs of a quantised matrix that share a scale. */
export const GROUP = 32; // host

/** The layout of a matrix: row-major float32, or panels of 16 outputs. */
export const enum Layout {
  ROWS,
  FLOAT32,
  FLOAT16,
  BFLOAT16,
  Q8,
  Q4,
}

/** Bytes of a group of a panel: scales, then integers. */
export const Q8_BYTES: usize = 32 + 512; // host
/** The same for 4 bits. */
export const Q4_BYTES: usize = 32 + 256; // host

/** Bytes of a panel, or of 16 rows where the layout is ROWS. */
export function panelBytes(layout: i32, inputs: i32): usize {
  const groups = <usize>((inputs + GROUP - 1) >> 5);
  if (layout == Layout.Q8) return groups * Q8_BYTES;
  if (layout == Layout.Q4) return groups * Q4_BYTES;
  return <usize>inputs << (layout == Layout.FLOAT16 || layout == Layout.BFLOAT16 ? 5 : 6);
}

/** Packs `count` row-major float32 rows into panels; the last panel is filled up with zeros. */
export function packMatrix(from: usize, inputs: i32, count: i32, layout: i32, to: usize): void {
  const stride = <usize>inputs << 2;
  const bytes = panelBytes(layout, inputs);
  for (let first = 0; first < count; first += PANEL) {
    const rows = min(PANEL, count - first);
    if (layout == Layout.FLOAT32) packFloat32(from, stride, rows, inputs, to);
    else if (layout == Layout.Q8) packQ8(from, inputs, rows, to);
    else if (layout == Layout.Q4) packQ4(from, inputs, rows, to);
    else pack16Bits(from, inputs, rows, layout == Layout.BFLOAT16, to);
    from += stride << 4;
    to += bytes;
  }
}

/** Packs row-major float16 or bfloat16 values into panels, without a change of their bits. */
export function packBits(from: usize, inputs: i32, count: i32, to: usize): void {
  for (let first = 0; first < count; first += PANEL) {
    const rows = min(PANEL, count - first);
    if (rows < PANEL) memory.fill(to, 0, <usize>inputs << 5);
    for (let row = 0; row < rows; row++) {
      const source = from + ((<usize>(first + row) * <usize>inputs) << 1);
      const target = to + halfPlace(row);
      for (let k: usize = 0; k < <usize>inputs; k++) store<u16>(target + (k << 5), load<u16>(source + (k << 1)));
    }
    to += <usize>inputs << 5;
  }
}

/** Unpacks `count` rows from `first` on to row-major float32. */
export function unpackMatrix(from: usize, inputs: i32, first: i32, count: i32, layout: i32, to: usize): void {
  for (let row = first; row < first + count; row++) {
    unpackRow(from, inputs, row, layout, to);
    to += <usize>inputs << 2;
  }
}

export function unpackRow(from: usize, inputs: i32, row: i32, layout: i32, to: usize): void {
  const panel = from + <usize>(row >> 4) * panelBytes(layout, inputs);
  const lane = <usize>(row & 15);
  for (let k = 0; k < inputs; k++) store<f32>(to + (<usize>k << 2), weightAt(panel, lane, k, layout));
}

function weightAt(panel: usize, lane: usize, k: i32, layout: i32): f32 {
  if (layout == Layout.FLOAT32) return load<f32>(panel + (<usize>k << 6) + (lane << 2));
  const half = panel + (<usize>k << 5) + halfPlace(lane);
  if (layout == Layout.FLOAT16) return float16ToFloat32(load<u16>(half));
  if (layout == Layout.BFLOAT16) return bfloat16ToFloat32(load<u16>(half));
  const inside = k & 31;
  const group = panel + <usize>(k >> 5) * (layout == Layout.Q8 ? Q8_BYTES : Q4_BYTES);
  const scale = bfloat16ToFloat32(load<u16>(group + (lane << 1)));
  if (layout == Layout.Q8) return scale * <f32>load<i8>(group + 32 + pairPlace(lane, inside));
  const pair = <i32>load<u16>(group + 32 + nibblePlace(lane, inside));
  return scale * <f32>(((pair >> nibbleShift(lane, inside)) & 15) - 8);
}

/**
 * The place of an output among the 16-bit values of an input. Two vectors hold them as words of outputs o and o + 8
 * (vector 0: o = 0 … 3, vector 1: o = 4 … 7), o in the lower half. Shifts and masks alone widen them, alike for
 * neighbouring vectors, of which V8's revectorisation makes one.
 * @inline
 */
function halfPlace(lane: usize): usize {
  return (((lane >> 2) & 1) << 4) + ((lane & 3) << 2) + ((lane >> 3) << 1);
}

/** @inline */
function pairPlace(lane: usize, k: i32): usize {
  return (<usize>(k >> 1) << 5) + (lane << 1) + (<usize>k & 1);
}

/**
 * The place of the 16-bit lane that holds the nibble of an output and an input k. Four inputs (two pairs) of 16 outputs
 * are two vectors of eight lanes. Lane 2 (o & 3) + (k & 1) holds the nibbles of outputs o and o + 4 (vector 0: o = 0 …
 * 3, vector 1: o = 8 … 11), from its low end on: o in the first pair, o in the second, o + 4 in the first, o + 4 in the
 * second. So shifts and masks alone give vectors that a 16-bit dot product takes.
 * @inline
 */
function nibblePlace(lane: usize, k: i32): usize {
  return (<usize>(k >> 2) << 5) + ((lane >> 3) << 4) + ((lane & 3) << 2) + ((<usize>k & 1) << 1);
}

/** @inline */
function nibbleShift(lane: usize, k: i32): i32 {
  return (((<i32>lane >> 2) & 1) << 3) + (((k >> 1) & 1) << 2);
}

/** `[rows, inputs]` of float32 with rows `stride` apart → `[inputs, 16]`. */
export function packFloat32(from: usize, stride: usize, rows: i32, inputs: i32, to: usize): void {
  if (rows < PANEL) memory.fill(to, 0, <usize>inputs << 6);
  let row = 0;
  for (; row + 4 <= rows; row += 4) {
    const source = from + <usize>row * stride;
    const target = to + (<usize>row << 2);
    let k = 0;
    for (; k + 4 <= inputs; k += 4) transpose(source + (<usize>k << 2), stride, target + (<usize>k << 6), 64);
    for (; k < inputs; k++) {
      for (let i: usize = 0; i < 4; i++) {
        store<f32>(target + (<usize>k << 6) + (i << 2), load<f32>(source + i * stride + (<usize>k << 2)));
      }
    }
  }
  for (; row < rows; row++) {
    const source = from + <usize>row * stride;
    const target = to + (<usize>row << 2);
    for (let k: usize = 0; k < <usize>inputs; k++) store<f32>(target + (k << 6), load<f32>(source + (k << 2)));
  }
}

function pack16Bits(from: usize, inputs: i32, rows: i32, bfloat16: bool, to: usize): void {
  if (rows < PANEL) memory.fill(to, 0, <usize>inputs << 5);
  for (let row = 0; row < rows; row++) {
    const target = to + halfPlace(row);
    for (let k: usize = 0; k < <usize>inputs; k++) {
      const value = load<f32>(from);
      store<u16>(target + (k << 5), bfloat16 ? float32ToBfloat16(value) : float32ToFloat16(value));
      from += 4;
    }
  }
}

function packQ8(from: usize, inputs: i32, rows: i32, to: usize): void {
  memory.fill(to, 0, panelBytes(Layout.Q8, inputs));
  for (let row = 0; row < rows; row++) {
    const lane = <usize>row;
    for (let start = 0; start < inputs; start += GROUP) {
      const group = to + <usize>(start >> 5) * Q8_BYTES;
      const count = min(GROUP, inputs - start);
      const source = from + (<usize>(row * inputs + start) << 2);
      const scale = storeScale(group + (lane << 1), abs(extreme(source, count)) / 127);
      const inverse: f32 = scale == 0 ? 0 : 1 / scale;
      for (let k = 0; k < count; k++) {
        store<i8>(
          group + 32 + pairPlace(lane, k),
          <i8>nearestWithin(load<f32>(source + (<usize>k << 2)) * inverse, -127, 127),
        );
      }
    }
  }
}

/** Packs to 4 bits. The value of largest magnitude becomes -8, so that all 16 values are used. */
function packQ4(from: usize, inputs: i32, rows: i32, to: usize): void {
  memory.fill(to, 0, panelBytes(Layout.Q4, inputs));
  for (let row = 0; row < rows; row++) {
    const lane = <usize>row;
    for (let start = 0; start < inputs; start += GROUP) {
      const group = to + <usize>(start >> 5) * Q4_BYTES;
      const count = min(GROUP, inputs - start);
      const source = from + (<usize>(row * inputs + start) << 2);
      const scale = storeScale(group + (lane << 1), extreme(source, count) / -8);
      const inverse: f32 = scale == 0 ? 0 : 1 / scale;
      for (let k = 0; k < count; k++) {
        const value = nearestWithin(load<f32>(source + (<usize>k << 2)) * inverse, -8, 7) + 8;
        const place = group + 32 + nibblePlace(lane, k);
        store<u16>(place, <u16>(load<u16>(place) | (value << nibbleShift(lane, k))));
      }
    }
  }
}

/** The value of largest magnitude; NaN where a value is NaN, since such a group is NaN as a whole. */
function extreme(values: usize, count: i32): f32 {
  let most: f32 = 0;
  for (let k: usize = 0; k < <usize>count; k++) {
    const value = load<f32>(values + (k << 2));
    if (abs(value) > abs(most) || value != value) most = value;
    if (value != value) break;
  }
  return most;
}

/** Stores a scale as bfloat16, rounded away from zero so that no integer is out of range, and returns it. */
function storeScale(place: usize, scale: f32): f32 {
  const bits = reinterpret<u32>(scale);
  const rounded: u32 = isFinite(scale) ? (bits + 0xffff) >> 16 : scale == scale ? bits >> 16 : 0x7fc0;
  store<u16>(place, <u16>rounded);
  return bfloat16ToFloat32(rounded);
}

/** @inline */
function nearestWithin(value: f32, low: i32, high: i32): i32 {
  const whole = nearest<f32>(value);
  return whole <= <f32>low ? low : whole >= <f32>high ? high : whole == whole ? <i32>whole : 0;
}

/**
 * Gives `depth` inputs from `from` on (a multiple of 32) of panel `index` as float32 `[depth, 16]`: in place where they
 * are float32 already, else in `to`, which stays in the first-level cache. Returns the address.
 */
export function widen(
  weight: usize, layout: i32, inputs: i32, outputs: i32, index: i32, from: i32, depth: i32, to: usize,
): usize {
  const start = <usize>from;
  if (layout == Layout.ROWS) {
    const first = index << 4;
    const stride = <usize>inputs << 2;
    packFloat32(weight + <usize>first * stride + (start << 2), stride, min(PANEL, outputs - first), depth, to);
    return to;
  }
  const panel = weight + <usize>index * panelBytes(layout, inputs);
  if (layout == Layout.FLOAT32) return panel + (start << 6);
  if (layout == Layout.FLOAT16) widenFloat16(panel + (start << 5), depth, to);
  else if (layout == Layout.BFLOAT16) widenBfloat16(panel + (start << 5), depth, to);
  else if (layout == Layout.Q8) widenQ8(panel + (start >> 5) * Q8_BYTES, depth, to);
  else widenQ4(panel + (start >> 5) * Q4_BYTES, depth, to);
  return to;
}

/**
 * Gives `depth` rows from `from` on (a multiple of 16) of 16 columns of a matrix with `inputs` columns, as float32
 * `[depth, 16]` in `to`; columns beyond the last are zero. Rows of a row-major matrix are copied. Panels are widened
 * and transposed 16 rows at a time, by way of `spare`, which has room for `GROUP` inputs.
 */
export function columns(
  weight: usize, layout: i32, inputs: i32, index: i32, from: i32, depth: i32, to: usize, spare: usize,
): usize {
  const first = index << 4;
  const width = min(PANEL, inputs - first);
  if (width < PANEL) memory.fill(to, 0, <usize>depth << 6);
  if (layout == Layout.ROWS) {
    const stride = <usize>inputs << 2;
    let row = weight + <usize>from * stride + (<usize>first << 2);
    for (let place = to, end = to + (<usize>depth << 6); place < end; place += 64) {
      if (width == PANEL) {
        v128.store(place, v128.load(row));
        v128.store(place, v128.load(row, 16), 16);
        v128.store(place, v128.load(row, 32), 32);
        v128.store(place, v128.load(row, 48), 48);
      } else {
        for (let at: usize = 0; at < <usize>width << 2; at += 4) store<f32>(place + at, load<f32>(row + at));
      }
      row += stride;
    }
    return to;
  }
  const group = first & ~(GROUP - 1);
  for (let row = 0; row < depth; row += PANEL) {
    const wide = widen(weight, layout, inputs, 0, (from + row) >> 4, group, min(GROUP, inputs - group), spare);
    const part = wide + (<usize>(first - group) << 6);
    transposeMatrix(part, 64, width, min(PANEL, depth - row), to + (<usize>row << 6), 64);
  }
  return to;
}

function widenFloat16(from: usize, depth: i32, to: usize): void {
  const bits = mask(Mask.FLOAT16);
  const up = mask(Mask.UP);
  const factor = rebias();
  for (const end = to + (<usize>depth << 6); to < end; to += 64) {
    const first = v128.load(from);
    const second = v128.load(from, 16);
    v128.store(to, f32x4.mul(lowerFloat16(first, bits, up), factor));
    v128.store(to, f32x4.mul(lowerFloat16(second, bits, up), factor), 16);
    v128.store(to, f32x4.mul(upperFloat16(first, bits), factor), 32);
    v128.store(to, f32x4.mul(upperFloat16(second, bits), factor), 48);
    from += 32;
  }
}

function widenBfloat16(from: usize, depth: i32, to: usize): void {
  const bits = mask(Mask.BFLOAT16);
  for (const end = to + (<usize>depth << 6); to < end; to += 64) {
    const first = v128.load(from);
    const second = v128.load(from, 16);
    v128.store(to, lowerBfloat16(first));
    v128.store(to, lowerBfloat16(second), 16);
    v128.store(to, upperBfloat16(first, bits), 32);
    v128.store(to, upperBfloat16(second, bits), 48);
    from += 32;
  }
}

function widenQ8(group: usize, depth: i32, to: usize): void {
  for (let start = 0; start < depth; start += GROUP) {
    const count = min(GROUP, depth - start);
    for (let part: usize = 0; part < 4; part++) {
      const scale = scalesAt(group, part);
      for (let k = 0; k < count; k += 2) {
        const pairs = v128.load8x8_s(group + 32 + (<usize>k << 4) + (part << 3));
        const target = to + (<usize>(start + k) << 6) + (part << 4);
        // The 16-bit lanes are [o, 2]: even inputs are shifted up and down again, odd ones are shifted down.
        v128.store(target, f32x4.mul(f32x4.convert_i32x4_s(i32x4.shr_s(i32x4.shl(pairs, 16), 16)), scale));
        if (k + 1 < count) v128.store(target, f32x4.mul(f32x4.convert_i32x4_s(i32x4.shr_s(pairs, 16)), scale), 64);
      }
    }
    group += Q8_BYTES;
  }
}

function widenQ4(group: usize, depth: i32, to: usize): void {
  const nibble = i32x4.splat(15);
  const eight = i32x4.splat(8);
  for (let start = 0; start < depth; start += GROUP) {
    const count = min(GROUP, depth - start);
    for (let part: usize = 0; part < 4; part++) {
      const scale = scalesAt(group, part);
      for (let k = 0; k < count; k++) {
        const lanes = v128.load(group + 32 + (<usize>(k >> 2) << 5) + ((part >> 1) << 4));
        const shift = (<i32>(part & 1) << 3) + (((k >> 1) & 1) << 2) + ((k & 1) << 4);
        const value = i32x4.sub(v128.and(i32x4.shr_u(lanes, shift), nibble), eight);
        v128.store(to + (<usize>(start + k) << 6) + (part << 4), f32x4.mul(f32x4.convert_i32x4_s(value), scale));
      }
    }
    group += Q4_BYTES;
  }
}

/** The scales of outputs 4 `part` … 4 `part` + 3. @inline */
export function scalesAt(group: usize, part: usize): v128 {
  return i32x4.shl(v128.load16x4_u(group + (part << 3)), 16);
}
