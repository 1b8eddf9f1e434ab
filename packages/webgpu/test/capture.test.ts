import { seededWeights } from '@mamba/conformance';
import { type Backend, type Capture, createModel, modelConfig, type Tensor } from '@mamba/core';
import { afterEach, describe, expect, test } from 'vitest';
import { globals } from 'webgpu';
import { acquire } from '../src/gpu/acquire.ts';
import { countersOf, webgpu } from '../src/index.ts';
import { compileLazily } from './compile-lazily.ts';

compileLazily(globals);

const SIZE = 1000;
const values = (of: (index: number) => number) => ({
  dtype: 'float32' as const,
  shape: [SIZE],
  data: Float32Array.from({ length: SIZE }, (_, index) => of(index)),
});

let backend: Backend;
afterEach(() => backend.dispose());

/** Captures 40 sums, each of the one before and of x, whose memory is used in turn. */
function sums(x: Tensor): Capture<Tensor> {
  return backend.capture!([{ shape: [SIZE], dtype: 'float32' }], ([input]) => {
    let sum = backend.add(input!, x);
    for (let call = 1; call < 40; call++) {
      const next = backend.add(sum, x);
      sum.dispose();
      sum = next;
    }
    return sum;
  });
}

describe('a capture', () => {
  test('is sent in one submit, and makes nothing anew', async () => {
    backend = await webgpu().create();
    const x = backend.upload(values((index) => index));
    const capture = sums(x);
    // The input, and two sums that take turns.
    expect(capture.bytes).toBe(3 * 4 * SIZE);
    capture.replay([values(() => 0)]);
    const before = countersOf(backend);
    const sum = capture.replay([values((index) => -index)]);
    const after = countersOf(backend);
    expect(after.dispatches - before.dispatches).toBe(40);
    expect(after.submits - before.submits).toBe(1);
    for (const name of ['bindGroups', 'pipelinesMade', 'copies', 'buffersAlive'] as const)
      expect(after[name], name).toBe(before[name]);
    expect(await backend.read(sum)).toEqual(values((index) => 39 * index).data);
    capture.dispose();
    x.dispose();
    expect(backend.memory()).toMatchObject({ tensors: 0, bytes: 0 });
  });

  test('keeps its memory while the pool takes and destroys buffers', async () => {
    backend = await webgpu({ spareBytes: 0 }).create();
    const x = backend.upload(values((index) => index));
    const capture = sums(x);
    for (let size = 4000; size < 100_000; size *= 3) {
      const large = backend.upload({ dtype: 'float32', shape: [size], data: new Float32Array(size).fill(1) });
      const others = Array.from({ length: 4 }, () => backend.add(x, x));
      const sum = capture.replay([values(() => size)]);
      for (const tensor of [large, ...others]) tensor.dispose();
      expect(await backend.read(sum)).toEqual(values((index) => size + 40 * index).data);
    }
    // What was recorded of it is sent before its memory goes.
    const pending = backend.read(capture.replay([values(() => 7)]));
    capture.dispose();
    const y = backend.upload(values(() => 1));
    expect(await backend.read(backend.add(y, y))).toEqual(values(() => 2).data);
    expect(await pending).toEqual(values((index) => 7 + 40 * index).data);
  });

  test('of a device that was lost cannot be replayed, and can be disposed', async () => {
    const { device } = await acquire({});
    backend = await webgpu({ device }).create();
    const x = backend.upload(values((index) => index));
    const capture = sums(x);
    const pending = backend.read(capture.replay([values(() => 0)]));
    device.destroy();
    await expect(pending).rejects.toMatchObject({ code: 'device-lost' });
    expect(() => capture.replay([values(() => 0)])).toThrow(expect.objectContaining({ code: 'device-lost' }));
    capture.dispose();
    expect(backend.memory().tensors).toBe(1);
  });

  test('takes no fused form of a block or a model', async () => {
    backend = await webgpu().create();
    const config = modelConfig({ layers: 1, dModel: 16, vocabSize: 20 });
    const model = await createModel(backend, config, seededWeights(config, 1));
    const before = backend.memory();
    expect(() => backend.capture!([], () => model.forward([[1, 2]]))).toThrow(
      expect.objectContaining({ code: 'unsupported' }),
    );
    expect(backend.memory()).toMatchObject({ tensors: before.tensors, bytes: before.bytes });
    model.dispose();
  });
});
