/**
 * Gathers rows of a table of any layout by int32 ids, which the caller has checked; an id below 0 gives a row of NaN.
 * Each gathered row is read and written once.
 */
import { copy } from '../lib/lanes';
import { Layout, unpackRow } from './weights';

export function embedding(table: usize, layout: i32, ids: usize, y: usize, count: i32, channels: i32): void {
  const bytes = <usize>channels << 2;
  for (let index = 0; index < count; index++) {
    const row = load<i32>(ids);
    if (row < 0) {
      for (let channel: usize = 0; channel < bytes; channel += 4) store<f32>(y + channel, NaN);
    } else if (layout == Layout.ROWS) copy(y, table + <usize>row * bytes, bytes);
    else unpackRow(table, channels, row, layout, y);
    ids += 4;
    y += bytes;
  }
}
