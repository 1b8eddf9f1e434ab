/** What a thread does that measures a limit together with others: the same kernel over and over until its time is up. */
import type { LimitAnswer, LimitRequest } from '../platform/platform.ts';
import { type LimitKernels, limitKernels } from './limit-kernels.ts';

let kernels: LimitKernels | undefined;

export async function answerLimit({ bound, duration }: LimitRequest): Promise<LimitAnswer> {
  kernels ??= await limitKernels();
  const start = performance.now();
  let work = 0;
  let milliseconds: number;
  do {
    work += kernels.run(bound);
    milliseconds = performance.now() - start;
  } while (milliseconds < duration);
  return { work, milliseconds };
}
