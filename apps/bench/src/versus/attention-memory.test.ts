import { expect, it } from 'vitest';
import { attentionMemory, BERT_BASE } from './attention-memory.ts';

it('gives the figures of the seed for BERT-base at 512 tokens × 32 sequences', () => {
  const { weights, scores, queriesKeysValues, forward } = attentionMemory(BERT_BASE);
  const megabytes = [weights, scores, queriesKeysValues].map((bytes) => Math.round(bytes / 1e6));
  expect(megabytes).toEqual([440, 403, 151]);
  expect((forward / 2 ** 30).toFixed(2)).toBe('0.93');
});

it('grows with the square of the length in the scores alone', () => {
  const [short, long] = [BERT_BASE, { ...BERT_BASE, length: 1024 }].map(attentionMemory);
  expect(long!.scores / short!.scores).toBe(4);
  for (const part of ['flashScores', 'queriesKeysValues', 'cache'] as const) expect(long![part] / short![part]).toBe(2);
  expect(long!.weights).toBe(short!.weights);
});
