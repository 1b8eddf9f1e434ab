// Every shader with every library and every constant that the host may choose compiles without a message.
import { afterAll, beforeAll, expect, test } from 'vitest';
import * as shaders from '../src/generated/index.ts';
import { acquire } from '../src/gpu/acquire.ts';
import { labelOf, type Shader, textOf } from '../src/gpu/shader.ts';

const constants: Readonly<Record<string, readonly Readonly<Record<string, number>>[]>> = {
  'selective-scan': [
    { GROUPS: 1, BLOCK: 1 },
    { GROUPS: 2, BLOCK: 2 },
    { GROUPS: 3, BLOCK: 4 },
    { GROUPS: 4, BLOCK: 8 },
  ],
  'causal-conv1d': [{ TAPS: 2 }, { TAPS: 4 }, { TAPS: 64 }],
  'decode-in-proj': [{ TAPS: 2 }, { TAPS: 4 }],
  linear: [
    { ROWS: 4, QUADS: 1, DEPTH: 4 },
    { ROWS: 8, QUADS: 2, DEPTH: 2 },
  ],
};

const modules = Object.values(shaders as unknown as Record<string, Shader>).flatMap((shader) =>
  Object.keys(shader.links).flatMap((link) =>
    (constants[shader.stem] ?? [{}]).map((values) => ({
      label: labelOf(shader, { link, constants: values }),
      code: textOf(shader, { link, constants: values }),
    })),
  ),
);

let device: GPUDevice;
let gpu: GPU | undefined;
beforeAll(async () => {
  ({ device, gpu } = await acquire({}));
});
afterAll(() => {
  device.destroy();
  gpu = undefined;
});

test.each(modules)('$label', async ({ label, code }) => {
  expect(gpu).toBeDefined();
  const { messages } = await device.createShaderModule({ label, code }).getCompilationInfo();
  expect(messages.map(({ message }) => message)).toEqual([]);
});

test('constants are found where the host replaces them', () => {
  for (const [stem, values] of Object.entries(constants)) {
    const shader = Object.values(shaders as unknown as Record<string, Shader>).find((item) => item.stem === stem)!;
    expect(Object.keys(values[0]!).sort()).toEqual([...shader.constants].sort());
  }
});
