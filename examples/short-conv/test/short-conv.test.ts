/** The suite checks the kind's numbers and laws on every backend, with one line for each. */
import { describeConformance } from '@mamba/conformance/vitest';
import { blockConfig, createModel, modelConfig } from '@mamba/core';
import { cpu } from '@mamba/cpu';
import { reference } from '@mamba/reference';
import { webgpu } from '@mamba/webgpu';
import { expect, test } from 'vitest';
import { defineShortConv } from '../src/short-conv.ts';

defineShortConv();
const kinds = [{ config: { kind: 'short-conv', dModel: 10, width: 3 } }] as const;
describeConformance(reference(), { scope: [], kinds });
describeConformance(cpu(), { scope: [], kinds });
describeConformance(webgpu(), { scope: [], kinds });

test('runs in a model between Mamba blocks, and counts with the model’s parameters', async () => {
  const { dModel, ...mamba } = { ...blockConfig(8), kind: 'mamba' as const };
  const config = modelConfig({ dModel, vocabSize: 20, blocks: [mamba, { kind: 'short-conv', width: 3 }, mamba] });
  const backend = await cpu().create();
  const model = await createModel(backend, config, ({ shape }) => {
    const size = shape.reduce((product, extent) => product * extent, 1);
    return { dtype: 'float32', shape, data: Float32Array.from({ length: size }, (_, index) => Math.sin(index) / 9) };
  });
  const inner = model.parameters().filter(({ kind }) => kind === 'short-conv');
  expect(inner.map(({ name, shape }) => `${name} ${shape.join('×')}`)).toEqual([
    'layers.1.norm 8',
    'layers.1.block.inProj 24×8',
    'layers.1.block.conv 8×3',
    'layers.1.block.outProj 8×8',
  ]);
  const { ids } = model.decode([[3]], undefined, { count: 4 });
  expect(await backend.read(ids)).toHaveLength(4);
  await backend.dispose();
});
