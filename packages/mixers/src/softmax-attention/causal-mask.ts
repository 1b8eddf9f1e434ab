import type { Backend, Tensor } from '@mamba/core';
import { type Scope, scoped } from '@mamba/core/toolkit';

/** Most rows that are made at once. More of them would make the table below larger than the mask. */
const MOST_ROWS = 512;

/**
 * What causal attention adds to its scores, `[queries, keys]`: 0 for keys up to a query's own, where the last query
 * stands at the last key, and `hidden` for later ones. It belongs to the scope.
 *
 * The device makes it of a single row, since the upload of a matrix takes longer than the attention: a table that
 * repeats the row is read as one whose rows are an element shorter, so that each begins an element further left.
 */
export function causalMask(backend: Backend, scope: Scope, queries: number, keys: number, hidden: number): Tensor {
  const parts: Tensor[] = [];
  for (let first = 0; first < queries; first += MOST_ROWS) {
    const rows = Math.min(MOST_ROWS, queries - first);
    parts.push(scope.own(maskRows(backend, rows, keys, keys - queries + first, hidden)));
  }
  if (parts.length === 1) return parts[0]!;
  const mask = scope.own(backend.concat(parts, 0));
  for (const part of parts) scope.drop(part);
  return mask;
}

/** Rows of the mask, the first of which sees the keys up to `last`. */
function maskRows(backend: Backend, rows: number, keys: number, last: number, hidden: number): Tensor {
  return scoped((scope) => {
    const period = keys + rows;
    const data = new Float32Array(period).fill(hidden, last + 1, keys);
    const row = scope.own(backend.upload({ dtype: 'float32', shape: [1, period], data }));
    const zeros = scope.own(backend.upload({ dtype: 'int32', shape: [rows], data: new Int32Array(rows) }));
    const table = scope.own(backend.embedding(row, zeros));
    const flat = scope.own(backend.reshape(table, [rows * period]));
    scope.drop(table);
    const cut = scope.own(backend.slice(flat, 0, 0, rows * (period - 1)));
    scope.drop(flat);
    const turned = scope.own(backend.reshape(cut, [rows, period - 1]));
    scope.drop(cut);
    return backend.slice(turned, 1, 0, keys);
  });
}
