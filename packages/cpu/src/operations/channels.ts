/** How the kernels that go along channels cut them into chunks. */

/** Of a long sequence: rows of 2 KB are read at nearly the speed of one stream, rows of 512 bytes at half of it. */
const WIDE = 512;
/** Of a few steps, which are one row each: so that threads end together. */
const NARROW = 128;
const FEW_STEPS = 8;
/** Chunks for each thread at least, so that one that is late is helped. */
const CHUNKS = 2;

/** Channels of a chunk, a multiple of eight or all of them; `others` is how many times the channels are cut: batch rows, groups. */
export function channelsPerTask(channels: number, length: number, others: number, threads: number): number {
  const most = length <= FEW_STEPS ? NARROW : WIDE;
  const wanted = threads === 1 ? 1 : (CHUNKS * threads) / others;
  const parts = Math.max(Math.ceil(channels / most), Math.ceil(wanted));
  return Math.min(channels, Math.max(Math.ceil(channels / parts / 8) * 8, 32));
}
