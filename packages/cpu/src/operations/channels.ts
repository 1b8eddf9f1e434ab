/** Cuts channels into tasks, for the kernels that go along channels. */

/**
 * Most channels of a task in a long sequence: rows of 2 KB are read at nearly the speed of one stream, rows of 512
 * bytes at half of it.
 */
const CHANNELS_LONG = 512;
/** Most channels of a task in a sequence of a few steps, where smaller tasks let threads end together. */
const CHANNELS_SHORT = 128;
const FEW_STEPS = 8;
/** The least number of tasks for each thread, so that others can help a thread that is late. */
const TASKS_PER_THREAD = 2;

/**
 * Channels of a task: a multiple of eight, or all of them. There are `others` such sets of channels: batch rows times
 * groups.
 */
export function channelsPerTask(channels: number, length: number, others: number, threads: number): number {
  const most = length <= FEW_STEPS ? CHANNELS_SHORT : CHANNELS_LONG;
  const wanted = threads === 1 ? 1 : (TASKS_PER_THREAD * threads) / others;
  const parts = Math.max(Math.ceil(channels / most), Math.ceil(wanted));
  return Math.min(channels, Math.max(Math.ceil(channels / parts / 8) * 8, 32));
}
