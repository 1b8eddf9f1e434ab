import { argmax } from './sample-logits.ts';

/** A token and its log-probability under the model's own distribution: before bias, penalties and filters. */
export interface TokenLogProb {
  readonly id: number;
  /** In nats. */
  readonly logProb: number;
}

/** `log Σ exp(logits)`; subtracts the maximum first, so that it does not overflow. */
export function logSumExp(logits: ArrayLike<number>): number {
  const largest = logits[argmax(logits)]!;
  let sum = 0;
  for (let id = 0; id < logits.length; id++) sum += Math.exp(logits[id]! - largest);
  return largest + Math.log(sum);
}

/** The `count` likeliest tokens, likeliest first. */
export function likeliest(logits: ArrayLike<number>, count: number): readonly TokenLogProb[] {
  const total = logSumExp(logits);
  const top: TokenLogProb[] = [];
  for (let id = 0; id < logits.length; id++) {
    const logProb = logits[id]! - total;
    if (top.length === count && !(logProb > top[count - 1]!.logProb)) continue;
    let place = top.length;
    while (place > 0 && top[place - 1]!.logProb < logProb) place--;
    top.splice(place, 0, { id, logProb });
    if (top.length > count) top.pop();
  }
  return top;
}
