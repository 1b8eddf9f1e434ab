/** Models are written as safetensors with a config.json, and opened again. */
import { type HostTensor, type ParameterSource, parameterCount } from '@mamba/core';
import { bfloat16ToNumber, float16ToNumber, numberToBfloat16, numberToFloat16 } from '@mamba/core/toolkit';
import { describe, expect, it } from 'vitest';
import {
  type Checkpoint,
  memorySink,
  modelConfigJson,
  openCheckpoint,
  type SafetensorsWritableType,
  writeSafetensorsModel,
} from '../src/index.ts';
import { expectSameBits, parameterFloats } from './gguf-helpers.ts';
import { expectError, FIXTURES, memoryStore } from './helpers.ts';

const FOLDERS = [
  ...['mamba-tiny', 'mamba-tiny-biased', 'mamba-tiny-f16', 'mamba-tiny-bf16'],
  ...['falcon-mamba-tiny', 'induction-heads', 'kjv-mamba'],
];

async function rewritten(checkpoint: Checkpoint, type: SafetensorsWritableType): Promise<Checkpoint> {
  const { config, source, specialTokens } = checkpoint;
  const sink = memorySink();
  const progress: number[] = [];
  const { bytes } = await writeSafetensorsModel({
    ...{ config, source, type, sink },
    onProgress: ({ bytes: done, totalBytes }) => progress.push(done / totalBytes),
  });
  expect(sink.bytes()).toHaveLength(bytes);
  expect(progress).toEqual(progress.toSorted((a, b) => a - b));
  expect(progress.at(-1)).toBe(1);
  return openCheckpoint(
    memoryStore({
      'config.json': JSON.stringify(modelConfigJson(config, specialTokens)),
      'model.safetensors': sink.bytes(),
    }),
  );
}

const rounding: Readonly<Record<SafetensorsWritableType, (value: number) => number>> = {
  F32: (value) => value,
  F16: (value) => float16ToNumber(numberToFloat16(value)),
  BF16: (value) => bfloat16ToNumber(numberToBfloat16(value)),
};

describe.each(FOLDERS)('%s, written as safetensors', (folder) => {
  it.each(['F32', 'F16', 'BF16'] as const)('is the same model, its matrices rounded once (%s)', async (type) => {
    const checkpoint = await openCheckpoint(`${FIXTURES}/${folder}`);
    const again = await rewritten(checkpoint, type);
    expect(again.config).toEqual(checkpoint.config);
    expect(again.specialTokens).toEqual(checkpoint.specialTokens);
    const [before, after] = [await parameterFloats(checkpoint), await parameterFloats(again)];
    expect([...after.keys()]).toEqual([...before.keys()]);
    for (const [name, values] of before) {
      const written = after.get(name)!;
      // A is stored as the float32 of its logarithm, whose error of 2^-24 · |log A| is a relative error of A.
      if (/\.A$/.test(name))
        for (const [index, value] of values.entries())
          expect(Math.abs(written[index]! / value - 1)).toBeLessThan(2 ** -22 * (1 + Math.abs(Math.log(-value))));
      else {
        const stored = again.storedType(specOf(name));
        expectSameBits(written, values.map(rounding[stored as SafetensorsWritableType]), name);
      }
    }
    await again.close();
    await checkpoint.close();

    function specOf(name: string) {
      const [, layer, key = name] = /^layers\.(\d+)\.(.+)$/.exec(name) ?? [];
      return { key, layer: layer === undefined ? undefined : Number(layer) } as Parameters<Checkpoint['storedType']>[0];
    }
  });
});

describe('what cannot be written as safetensors', () => {
  const write = async (change: (host: HostTensor) => HostTensor, type: string, signal?: AbortSignal) => {
    const { config, source, close } = await openCheckpoint(`${FIXTURES}/mamba-tiny`);
    const sink = memorySink();
    const changed: ParameterSource = async (spec) => change(await source(spec));
    try {
      await writeSafetensorsModel({ config, source: changed, type: type as 'F32', sink, signal });
    } finally {
      await close();
      expect(sink.bytes().length).toBe(0);
    }
    return parameterCount(config);
  };

  it('is named, with what would do; and nothing is left of it', async () => {
    const same = (host: HostTensor): HostTensor => host;
    const large = (host: HostTensor): HostTensor => {
      const data = Float32Array.from(host.data);
      data[0] = -70_000;
      return { dtype: 'float32', shape: host.shape, data };
    };
    await expectError(write(large, 'F16'), 'invalid-argument', '-70000', 'F16', 'F32 or BF16');
    await expectError(write(same, 'Q8_0'), 'invalid-argument', 'F32, F16, BF16');
    await expectError(
      write((host) => ({ ...host, shape: [1] }) as HostTensor, 'F32'),
      'invalid-argument',
      'floats',
    );
    await expectError(write(same, 'F32', AbortSignal.abort()), 'aborted', 'memory');
  });
});
