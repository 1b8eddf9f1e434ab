import type { AdamwCall } from '@mamba/core/driver';
import { floats, type Input } from '../storage.ts';

/** One step of AdamW in place, as the call's documentation has it. */
export function adamw(call: AdamwCall<Input>): void {
  const { learningRate, beta1, beta2, eps, weightDecay, step, maxNorm, size } = call;
  const [parameter, gradient] = [floats(call.parameter), floats(call.gradient)];
  const [first, second] = [floats(call.first), floats(call.second)];
  const norm = floats(call.norm)?.[0];
  if (norm !== undefined && !Number.isFinite(norm)) return;
  const scale = norm === undefined ? 1 : Math.min(1, maxNorm / (norm + 1e-6));
  for (let i = 0; i < size; i++) {
    const g = gradient[i]! * scale;
    first[i] = beta1 * first[i]! + (1 - beta1) * g;
    second[i] = beta2 * second[i]! + (1 - beta2) * g * g;
    const direction = first[i]! / (1 - beta1 ** step) / (Math.sqrt(second[i]! / (1 - beta2 ** step)) + eps);
    parameter[i] = parameter[i]! * (1 - learningRate * weightDecay) - learningRate * direction;
  }
}
