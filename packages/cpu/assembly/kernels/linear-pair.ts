/**
 * Two rows of x times one panel: each weight is loaded and widened once, and multiplied by both rows. Sums are returned
 * through memory (`to`, 64 bytes a row, `toStride` apart), for the reason given in linear-tile.ts.
 *
 * Eight sums, two broadcasts of x and a vector of weights leave registers for the masks of float16 where multiply-add
 * is fused, as long as vectors are widened one after the other. Four rows by half a panel at a time are no faster.
 */
import { Mask, mask } from '../lib/constants';
import { lowerBfloat16, lowerFloat16, upperBfloat16, upperFloat16 } from '../lib/half';
import { madd } from '../lib/madd';
import { Layout } from './weights';

export function pairFloat32(x: usize, xStride: usize, panel: usize, inputs: i32, to: usize, toStride: usize): void {
  multiply(Layout.FLOAT32, x, xStride, panel, inputs, to, toStride);
}

/** Takes x as `scaleForFloat16` made it, whose factors the sums still need. */
export function pairFloat16(x: usize, xStride: usize, panel: usize, inputs: i32, to: usize, toStride: usize): void {
  multiply(Layout.FLOAT16, x, xStride, panel, inputs, to, toStride);
}

export function pairBfloat16(x: usize, xStride: usize, panel: usize, inputs: i32, to: usize, toStride: usize): void {
  multiply(Layout.BFLOAT16, x, xStride, panel, inputs, to, toStride);
}

/** `layout` is a constant: each layout has a loop of its own. @inline */
function multiply(layout: i32, x: usize, xStride: usize, panel: usize, inputs: i32, to: usize, toStride: usize): void {
  const bits = mask(layout == Layout.FLOAT16 ? Mask.FLOAT16 : Mask.BFLOAT16);
  const up = mask(Mask.UP);
  let x1 = x + xStride;
  let a0 = f32x4.splat(0);
  let b0 = a0;
  let c0 = a0;
  let d0 = a0;
  let a1 = a0;
  let b1 = a0;
  let c1 = a0;
  let d1 = a0;
  const step = rowBytes(layout);
  for (const end = panel + <usize>inputs * step; panel < end; panel += step) {
    const v0 = v128.load32_splat(x);
    const v1 = v128.load32_splat(x1);
    let w = lower(layout, panel, bits, up);
    a0 = madd(v0, w, a0);
    a1 = madd(v1, w, a1);
    w = upper(layout, panel, bits);
    c0 = madd(v0, w, c0);
    c1 = madd(v1, w, c1);
    w = lower(layout, panel + 16, bits, up);
    b0 = madd(v0, w, b0);
    b1 = madd(v1, w, b1);
    w = upper(layout, panel + 16, bits);
    d0 = madd(v0, w, d0);
    d1 = madd(v1, w, d1);
    x += 4;
    x1 += 4;
  }
  v128.store(to, a0);
  v128.store(to, b0, 16);
  v128.store(to, c0, 32);
  v128.store(to, d0, 48);
  to += toStride;
  v128.store(to, a1);
  v128.store(to, b1, 16);
  v128.store(to, c1, 32);
  v128.store(to, d1, 48);
}

/** Bytes of the 16 weights of an input. @inline */
function rowBytes(layout: i32): usize {
  return layout == Layout.FLOAT32 ? 64 : 32;
}

/** Four weights of an input, as float32, from the vector of outputs 0 … 7 at `place`. @inline */
function lower(layout: i32, place: usize, bits: v128, up: v128): v128 {
  const v = v128.load(place);
  return layout == Layout.FLOAT32 ? v : layout == Layout.FLOAT16 ? lowerFloat16(v, bits, up) : lowerBfloat16(v);
}

/** The same for outputs 8 … 15. @inline */
function upper(layout: i32, place: usize, bits: v128): v128 {
  if (layout == Layout.FLOAT32) return v128.load(place, 32);
  const v = v128.load(place);
  return layout == Layout.FLOAT16 ? upperFloat16(v, bits) : upperBfloat16(v, bits);
}
