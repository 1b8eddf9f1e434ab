/**
 * The indices that sort each row of int32 keys, equal keys in their order: a merge sort from runs of one key on, which
 * goes back and forth between `order` and `spare`. A row is read log2(length) times.
 * @param spare Memory for one row.
 */
export function argsort(keys: usize, order: usize, spare: usize, rows: i32, length: i32): void {
  const bytes = <usize>length << 2;
  for (let row = 0; row < rows; row++) {
    let from = order;
    let to = spare;
    for (let index = 0; index < length; index++) store<i32>(from + (<usize>index << 2), index);
    for (let run = 1; run < length; run <<= 1) {
      for (let start = 0; start < length; start += run << 1) {
        merge(keys, from, to, start, min(start + run, length), min(start + (run << 1), length));
      }
      const swapped = from;
      from = to;
      to = swapped;
    }
    if (from != order) memory.copy(order, from, bytes);
    keys += bytes;
    order += bytes;
  }
}

/** Merges the sorted runs `[start, middle)` and `[middle, end)`; of equal keys, those of the first run come first. */
function merge(keys: usize, from: usize, to: usize, start: i32, middle: i32, end: i32): void {
  let left = start;
  let right = middle;
  for (let index = start; index < end; index++) {
    let taken = 0;
    if (left < middle && (right >= end || keyAt(keys, from, left) <= keyAt(keys, from, right))) taken = left++;
    else taken = right++;
    store<i32>(to + (<usize>index << 2), load<i32>(from + (<usize>taken << 2)));
  }
}

/** The key of the index that is at a place. @inline */
function keyAt(keys: usize, indices: usize, place: i32): i32 {
  return load<i32>(keys + (<usize>load<i32>(indices + (<usize>place << 2)) << 2));
}
