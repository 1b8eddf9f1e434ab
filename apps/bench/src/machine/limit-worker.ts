/** Measures a limit in one of several threads: it repeats a kernel until its time is up. */
import type { LimitAnswer, LimitRequest } from '../platform/platform.ts';
import { type LimitKernels, limitKernels, workFor } from './limit-kernels.ts';
import type { Mode } from './modes.ts';

const kernels = new Map<Mode, LimitKernels>();

export async function answerLimit({ bound, duration, mode }: LimitRequest): Promise<LimitAnswer> {
  const own = kernels.get(mode) ?? (await limitKernels(mode));
  kernels.set(mode, own);
  return workFor(own, bound, duration);
}
