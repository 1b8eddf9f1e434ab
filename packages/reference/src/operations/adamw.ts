import type { AdamwCall } from '@mamba/core/driver';
import { floats, type Input } from '../storage.ts';

/** One step of AdamW in place, as the call's documentation has it. */
export function adamw(call: AdamwCall<Input>): void {
  const { beta1, beta2, eps, weightDecay, maxNorm, size } = call;
  const [learningRate, rate, correction] = 'storage' in call.rates ? floats(call.rates) : call.rates;
  const [parameter, gradient] = [floats(call.parameter), floats(call.gradient)];
  const [first, second] = [floats(call.first), floats(call.second)];
  const norm = floats(call.norm)?.[0];
  if (norm !== undefined && !Number.isFinite(norm)) return;
  const scale = norm === undefined ? 1 : Math.min(1, maxNorm / (norm + 1e-6));
  for (let i = 0; i < size; i++) {
    const g = gradient[i]! * scale;
    first[i] = beta1 * first[i]! + (1 - beta1) * g;
    second[i] = beta2 * second[i]! + (1 - beta2) * g * g;
    const step = (rate! * first[i]!) / (Math.sqrt(correction! * second[i]!) + eps);
    parameter[i] = parameter[i]! * (1 - learningRate! * weightDecay) - step;
  }
}
