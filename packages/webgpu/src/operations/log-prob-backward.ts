import type { DeviceTensor, LogProbBackwardCall } from '@mamba/core/driver';
import type { Gpu } from '../gpu/gpu.ts';
import type { Storage } from '../storage.ts';
import { differentiateLoss } from './cross-entropy-backward.ts';

export function logProbBackward(gpu: Gpu, call: LogProbBackwardCall<DeviceTensor<Storage>>): Storage {
  return differentiateLoss(gpu, { ...call, targets: call.ids, labelSmoothing: 0, factor: -1, ignore: false });
}
