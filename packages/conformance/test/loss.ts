import type { Shape } from '@mamba/core';

/** Mean cross entropy in nats of the next token, from ids `[batch, length]` and logits `[batch, length, vocabSize]`. */
export function meanLoss(ids: ArrayLike<number>, logits: ArrayLike<number>, shape: Shape): number {
  const [batch, length, vocabSize] = shape as [number, number, number];
  const losses: number[] = [];
  for (let row = 0; row < batch; row++)
    for (let step = row * length; step + 1 < (row + 1) * length; step++) {
      const at = Array.from({ length: vocabSize }, (_, id) => logits[step * vocabSize + id]!);
      const sum = at.reduce((total, value) => total + Math.exp(value), 0);
      losses.push(Math.log(sum) - at[ids[step + 1]!]!);
    }
  return losses.reduce((total, value) => total + value, 0) / losses.length;
}
