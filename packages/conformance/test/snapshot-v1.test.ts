/** A state that a release before block kinds wrote continues with the same results. */
import { readFileSync } from 'node:fs';
import { createModel, decodeSnapshot, modelConfig } from '@mamba/core';
import { reference } from '@mamba/reference';
import { expect, test } from 'vitest';
import { seededWeights } from '../src/index.ts';

const read = (name: string) => readFileSync(new URL(`fixtures/${name}`, import.meta.url));

test('a snapshot file of version 1 is continued, bit for bit', async () => {
  const expected = JSON.parse(read('snapshot-v1.json').toString()) as { next: number[][]; logits: number[] };
  const config = modelConfig({ layers: 2, dModel: 6, vocabSize: 11 }, { dInner: 8, dState: 3, dConv: 3, dtRank: 2 });
  const snapshot = decodeSnapshot(read('snapshot-v1.bin'));
  expect(snapshot).toMatchObject({ version: 2, batch: 2, positions: [4, 4], fingerprint: 'version-1' });
  expect(snapshot.extra).toEqual({ pending: [9] });
  const backend = await reference().create();
  const model = await createModel(backend, config, seededWeights(config, 5));
  const { logits } = model.forward(expected.next, { state: model.importState(snapshot), logits: 'last' });
  expect([...(await backend.read(logits!))]).toEqual(expected.logits);
  await backend.dispose();
});
