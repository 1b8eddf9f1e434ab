/** The operands of products of a chunk, on their way into tiles of rows and panels of columns (see linear-tile.ts). */
import { loadPart, transposeMatrix } from '../../lib/lanes';
import { packTile } from '../linear-pack';

/** Rows of a matrix as tiles `[depth, height]`, one behind the other. */
export function packRows(from: usize, stride: usize, rows: i32, depth: i32, height: i32, to: usize): void {
  for (let row = 0; row < rows; row += height) {
    packTile(from + <usize>row * stride, stride, min(height, rows - row), depth, height, to);
    to += (<usize>depth * <usize>height) << 2;
  }
}

/** Columns of a matrix `[depth, columns]` as tiles `[depth, height]`, one behind the other. */
export function packColumns(from: usize, stride: usize, columns: i32, depth: i32, height: i32, to: usize): void {
  const step = <usize>height << 2;
  for (let column = 0; column < columns; column += height) {
    const bytes = <usize>min(height, columns - column) << 2;
    let source = from + (<usize>column << 2);
    for (const end = to + <usize>depth * step; to < end; to += step) {
      let at: usize = 0;
      for (; at < bytes; at += 4) store<u32>(to + at, load<u32>(source + at));
      for (; at < step; at += 4) store<u32>(to + at, 0);
      source += stride;
    }
  }
}

/**
 * Columns of a matrix `[depth, columns]`, times a factor of each row, as panels `[depth, 16]` that lie `panelStride`
 * apart; columns that are missing are zeros.
 */
export function scalePanels(
  from: usize, stride: usize, columns: i32, depth: i32, factors: usize, to: usize, panelStride: usize,
): void {
  for (let column = 0; column < columns; column += 16) {
    const width = columns - column;
    let source = from + (<usize>column << 2);
    let target = to;
    for (let row = 0; row < depth; row++) {
      const factor = v128.load32_splat(factors + (<usize>row << 2));
      if (width >= 16) {
        v128.store(target, f32x4.mul(v128.load(source), factor));
        v128.store(target, f32x4.mul(v128.load(source, 16), factor), 16);
        v128.store(target, f32x4.mul(v128.load(source, 32), factor), 32);
        v128.store(target, f32x4.mul(v128.load(source, 48), factor), 48);
      } else {
        for (let lane = 0; lane < 16; lane += 4) {
          const value = lane < width ? loadPart(source + (<usize>lane << 2), width - lane) : f32x4.splat(0);
          v128.store(target + (<usize>lane << 2), f32x4.mul(value, factor));
        }
      }
      source += stride;
      target += 64;
    }
    to += panelStride;
  }
}

/** The rows of a panel `[rows, 16]`, each times its factor. `to` may be `from`. */
export function scaleRows(from: usize, rows: i32, factors: usize, to: usize): void {
  for (let row = 0; row < rows; row++) {
    const factor = v128.load32_splat(factors);
    v128.store(to, f32x4.mul(v128.load(from), factor));
    v128.store(to, f32x4.mul(v128.load(from, 16), factor), 16);
    v128.store(to, f32x4.mul(v128.load(from, 32), factor), 32);
    v128.store(to, f32x4.mul(v128.load(from, 48), factor), 48);
    factors += 4;
    from += 64;
    to += 64;
  }
}

/** Floats times a factor, in place; `bytes` are whole vectors of sixteen. */
export function scaleAll(at: usize, bytes: usize, factor: f32): void {
  const factors = f32x4.splat(factor);
  for (const end = at + bytes; at < end; at += 64) {
    v128.store(at, f32x4.mul(v128.load(at), factors));
    v128.store(at, f32x4.mul(v128.load(at, 16), factors), 16);
    v128.store(at, f32x4.mul(v128.load(at, 32), factors), 32);
    v128.store(at, f32x4.mul(v128.load(at, 48), factors), 48);
  }
}

/** Rows `[16, depth]` of a matrix, `count` of which exist, as a panel `[depth, 16]`. */
export function turnPanel(from: usize, stride: usize, count: i32, depth: i32, to: usize): void {
  if (count < 16) memory.fill(to, 0, <usize>depth << 6);
  transposeMatrix(from, stride, count, depth, to, 64);
}
