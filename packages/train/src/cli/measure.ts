/** What an evaluation measures, task by task. */
import type { Model } from '@mamba/core';
import { windowsInOrder } from '../data/windows.ts';
import type { Batch } from '../model/loss.ts';
import { type Accuracy, accuracy } from '../tasks/accuracy.ts';
import { evaluateLoss } from '../trainer/evaluate.ts';
import { taskOf } from './config.ts';
import type { Config } from './options.ts';
import type { TextData } from './text-data.ts';

export type Measured =
  | { readonly accuracy: readonly Accuracy[] }
  | { readonly heldOut: { readonly loss: number; readonly targets: number; readonly bitsPerByte?: number } };

/** The loss on what is held out, and its bits per byte where the text of each token is known. */
export async function measureText(
  model: Model,
  { heldOut, byteLength }: TextData,
  { batch, length, evalWindows }: Config,
  signal: AbortSignal,
): Promise<Measured> {
  let bytes = 0;
  async function* counted(): AsyncGenerator<Batch, void, void> {
    for await (const found of windowsInOrder(heldOut, { batch, length: length!, windows: evalWindows })) {
      if (byteLength !== undefined) for (const target of found.targets) if (target >= 0) bytes += byteLength(target);
      yield found;
    }
  }
  const { loss, targets } = await evaluateLoss(model, counted(), { signal });
  return { heldOut: { loss, targets, ...(bytes > 0 && { bitsPerByte: (loss * targets) / Math.LN2 / bytes }) } };
}

/** The share of right answers at each length. */
export async function measureTask(model: Model, config: Config, signal: AbortSignal): Promise<Measured> {
  const { testLengths: lengths, testSequences: sequences, seed } = config;
  return { accuracy: await accuracy(model, taskOf(config), { lengths: lengths!, sequences, seed: seed + 1, signal }) };
}

export function describeMeasured(step: number, measured: Measured): string {
  if ('accuracy' in measured) {
    const parts = measured.accuracy.map(({ length, answers, right }) => `${length}: ${right}/${answers}`);
    return `step ${step}: right answers by length: ${parts.join(', ')}`;
  }
  const { loss, bitsPerByte, targets } = measured.heldOut;
  const bits = bitsPerByte === undefined ? '' : `, ${bitsPerByte.toFixed(4)} bits per byte`;
  return `step ${step}: held-out loss ${loss.toFixed(4)} nats${bits} (${targets} tokens)`;
}
