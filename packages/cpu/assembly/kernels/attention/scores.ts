/** Scores as powers of two, and what makes them of products. */
import { Constant, constant } from '../../lib/constants';
import { exp } from '../../lib/exp';
import { madd } from '../../lib/madd';
import { powerRatio } from '../../lib/power';
import { narrowTile, wideTile } from '../linear-tile';
import { LANES } from './call';

/** log2 e */
const LOG2_E: f32 = 1.4426950408889634;

/**
 * The factor of queries: products are the scores times log2 e then, or with a softcap the argument of its tanh.
 */
export function queryFactor(scale: f32, softcap: f32): f32 {
  return softcap == 0 ? scale * LOG2_E : scale / softcap;
}

/** The factor of a softcap's tanh, which makes scores times log2 e of it. @inline */
export function capFactor(softcap: f32): v128 {
  return f32x4.splat(softcap * LOG2_E);
}

/** Multiplies whole tiles of `count` rows with a panel of sixteen columns: `[depth, 16]` → `[count, 16]`. */
export function multiplyTiles(
  wide: i32, height: i32, tiles: usize, count: i32, panel: usize, depth: i32, zeros: usize, to: usize,
): void {
  const stride = (<usize>height * <usize>depth) << 2;
  for (let row = 0; row < count; row += height) {
    if (wide) {
      wideTile(tiles, panel, depth, zeros, 0, to, 64);
    } else {
      narrowTile(tiles, panel, depth, zeros, 0, to, 64);
      narrowTile(tiles, panel + 32, depth, zeros + 32, 0, to + 32, 64);
    }
    tiles += stride;
    to += <usize>height << 6;
  }
}

/** Adds the products of channels, `tileStride` bytes apart by tiles, with a panel to sums `[channels, 16]`. */
export function addProducts(
  wide: i32, height: i32, tiles: usize, tileStride: usize, channels: i32, panel: usize, depth: i32, sums: usize,
): void {
  for (let c = 0; c < channels; c += height) {
    if (wide) {
      wideTile(tiles, panel, depth, sums, 64, sums, 64);
    } else {
      narrowTile(tiles, panel, depth, sums, 64, sums, 64);
      narrowTile(tiles, panel + 32, depth, sums + 32, 64, sums + 32, 64);
    }
    tiles += tileStride;
    sums += <usize>height << 6;
  }
}

/** Copies sixteen rows of q, or of keys, times a factor, to a panel `[headDim, 16]`; `rows` of them exist. */
export function panelLane(from: usize, headDim: i32, factor: f32, to: usize): void {
  for (let c = 0; c < headDim; c++) {
    store<f32>(to, load<f32>(from) * factor);
    from += 4;
    to += LANES << 2;
  }
}

/** 2^x for x of at most 1/2, with an error of 1e-7; 0 below 2^-126. NaN stays NaN. @inline */
export function powerBelow(x: v128): v128 {
  const bounded = f32x4.pmax(x, constant(Constant.POWER_MIN));
  const round = constant(Constant.ROUND_BIASED);
  const shifted = f32x4.add(bounded, round);
  const r = f32x4.sub(bounded, f32x4.sub(shifted, round));
  const ratio = powerRatio(
    r, constant(Constant.P1), constant(Constant.P2), constant(Constant.P3), constant(Constant.P4),
    constant(Constant.P5),
  );
  return f32x4.mul(madd(ratio, r, constant(Constant.ONE)), i32x4.shl(shifted, 23));
}

/** tanh by (1 - e) / (1 + e) with e = exp(-2 |x|), and by its series where that would cancel. @inline */
export function tanh(x: v128): v128 {
  const size = f32x4.abs(x);
  const one = constant(Constant.ONE);
  const e = exp(f32x4.mul(size, f32x4.splat(-2)));
  const far = f32x4.div(f32x4.sub(one, e), f32x4.add(one, e));
  const square = f32x4.mul(x, x);
  let p = madd(square, f32x4.splat(0.0218694885), f32x4.splat(-0.0539682540));
  p = madd(p, square, f32x4.splat(0.1333333333));
  p = madd(p, square, f32x4.splat(-0.3333333333));
  const near = madd(f32x4.mul(size, square), p, size);
  const value = v128.bitselect(near, far, f32x4.lt(size, f32x4.splat(0.3)));
  return v128.or(value, v128.and(x, i32x4.splat(0x80000000)));
}
