/** Times calls on a webgpu backend: by the device's timestamps, or by the clock over many calls in a row. */
import type { Backend } from '@mamba/core';
import { profileOf } from '@mamba/webgpu';
import type { Heat } from './heater.ts';

export interface TimingOptions {
  readonly quick: boolean;
  readonly heat?: Heat | undefined;
}

const GROUPS = 6;
const CALLS_OF_GROUP = 3;

/** Calls until the device has worked for so many milliseconds. */
export async function warmUp(milliseconds: number, call: () => Promise<unknown>): Promise<void> {
  for (const begin = performance.now(); performance.now() - begin < milliseconds; ) await call();
}

/** Microseconds of device time of one call: the least of some groups' means, after a warm-up. */
export async function deviceTime(backend: Backend, call: () => void, options: TimingOptions): Promise<number> {
  return (await deviceTimes(backend, call, options)).microseconds;
}

export interface DeviceTimes {
  /** The time of the whole call. */
  readonly microseconds: number;
  /** The time of each shader that it dispatches, by its stem. */
  readonly kernels: Readonly<Record<string, number>>;
}

/** The same, with the part of each shader. */
export async function deviceTimes(
  backend: Backend,
  call: () => void,
  { quick, heat }: TimingOptions,
): Promise<DeviceTimes> {
  // A device that was idle is slow at first.
  await warmUp(quick || heat ? 1 : 100, async () => {
    call();
    await backend.synchronize();
  });
  await profileOf(backend);
  let least: DeviceTimes = { microseconds: Number.POSITIVE_INFINITY, kernels: {} };
  for (let group = 0; group < (quick ? 1 : GROUPS); group++) {
    heat?.(10);
    for (let index = 0; index < CALLS_OF_GROUP; index++) call();
    const kernels: Record<string, number> = {};
    for (const { label, nanoseconds } of await profileOf(backend)) {
      const stem = /^[\w-]+/.exec(label)![0];
      kernels[stem] = (kernels[stem] ?? 0) + nanoseconds / CALLS_OF_GROUP / 1000;
    }
    const microseconds = Object.values(kernels).reduce((sum, time) => sum + time, 0);
    if (microseconds < least.microseconds) least = { microseconds, kernels };
  }
  return least;
}

/** Microseconds of one of many calls in a row by the clock, without what a pass of its own adds to each dispatch. */
export async function timeInARow(backend: Backend, call: () => void, { quick, heat }: TimingOptions): Promise<number> {
  const timed = async (calls: number): Promise<number> => {
    heat?.(10);
    const begin = performance.now();
    for (let index = 0; index < calls; index++) call();
    await backend.synchronize();
    return performance.now() - begin;
  };
  await timed(10);
  const [few, many] = quick ? ([1, 2] as const) : ([50, 250] as const);
  let [least, most] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let round = 0; round < (quick ? 1 : 3); round++) {
    least = Math.min(least, await timed(few));
    most = Math.min(most, await timed(many));
  }
  return (1000 * (most - least)) / (many - few);
}
