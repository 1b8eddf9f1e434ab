/** checkModelFits, which tells whether a model fits before a byte of it is read. */
import { describe, expect, it } from 'vitest';
import { FakeDriver, failure } from '../../test/fake-driver.ts';
import { tinyConfig } from '../../test/tiny-model.ts';
import { createBackend } from '../backend/create-backend.ts';
import type { UploadTarget } from '../backend/driver.ts';
import { supported, unsupported } from '../contract/capability.ts';
import { isMambaError, type MambaError } from '../contract/errors.ts';
import { type DType, sizeOf, type TensorSpec } from '../contract/tensor.ts';
import { modelConfig } from './config.ts';
import type { ParameterSource, ParameterSpec } from './contract.ts';
import { type CreateModelOptions, createModel } from './create-model.ts';
import { checkModelFits } from './fits.ts';
import { parameterCount } from './parameters.ts';

/** A driver with a limit of memory, some of it in use, and with a list of dtypes that it stores. */
class Bounded extends FakeDriver {
  readonly #limit: number | undefined;
  readonly #dtypes: readonly DType[];

  constructor(limit: number | undefined, dtypes: readonly DType[] = ['float32', 'float16', 'q8', 'q4']) {
    super('bounded');
    this.#limit = limit;
    this.#dtypes = dtypes;
  }

  supportsUpload(_: TensorSpec, { dtype }: UploadTarget) {
    return this.#dtypes.includes(dtype) ? supported : unsupported(`it does not store ${dtype}`);
  }

  override memory() {
    return { ...super.memory(), limit: this.#limit };
  }
}

const bounded = (...args: ConstructorParameters<typeof Bounded>) => createBackend(new Bounded(...args));

function thrown(act: () => void): MambaError {
  try {
    act();
  } catch (error) {
    if (isMambaError(error)) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

/** Loads a model of zeros and counts the parameters that were read. */
async function load(backend: ReturnType<typeof bounded>, options: CreateModelOptions = {}) {
  let read = 0;
  const source = ({ shape }: ParameterSpec) => {
    read++;
    return { dtype: 'float32' as const, shape, data: new Float32Array(sizeOf(shape)) };
  };
  const error = await createModel(backend, tinyConfig, source, options).then(
    () => undefined,
    (reason: unknown) => reason as MambaError,
  );
  return { read, error };
}

const SIZE = parameterCount(tinyConfig);

describe('a model', () => {
  it('that does not fit is refused with nothing read, and the dtype that is named does', async () => {
    const backend = bounded(3 * SIZE);
    const { read, error } = await load(backend);
    expect(read).toBe(0);
    expect(error).toMatchObject({
      code: 'out-of-memory',
      given: `${4 * SIZE} bytes of weights in float32`,
      expected: `at most ${3 * SIZE} bytes`,
    });
    const dtype = /weights: '(\w+)'/.exec(error!.remedy!)?.[1];
    expect(dtype).toBeDefined();
    expect((await load(backend, { weights: dtype as DType })).error).toBeUndefined();
  });

  it('fits where the backend knows no limit, or has room', async () => {
    expect((await load(bounded(undefined))).error).toBeUndefined();
    expect((await load(bounded(4 * SIZE))).error).toBeUndefined();
    expect((await load(bounded(4 * SIZE - 1))).error?.code).toBe('out-of-memory');
  });

  it('asks for a backend where something near to one is given', async () => {
    const backend = bounded(undefined);
    const slips: readonly (readonly [unknown, RegExp])[] = [
      [{ name: 'cpu', create: async () => backend }, /got a provider, expected a backend. Write await cpu\(\).create/],
      [Promise.resolve(backend), /got a promise, expected a backend. Write await/],
      [undefined, /got undefined, expected a backend. Make one/],
    ];
    for (const [slip, words] of slips) {
      const { read, error } = await load(slip as typeof backend);
      expect(read).toBe(0);
      expect(error).toMatchObject({ code: 'invalid-argument', message: expect.stringMatching(words) });
      expect(() => checkModelFits(slip as typeof backend, tinyConfig)).toThrow(words);
    }
  });

  it('asks for a source where a whole checkpoint is given', async () => {
    const checkpoint = { source: () => undefined } as unknown as ParameterSource;
    await expect(createModel(bounded(undefined), tinyConfig, checkpoint)).rejects.toMatchObject({
      code: 'invalid-argument',
      message: expect.stringMatching(/got a value of type object, expected a function .* Pass the `source`/),
    });
  });

  it('is weighed beside what is in use', () => {
    const backend = bounded(4 * SIZE);
    backend.upload({ dtype: 'float32', shape: [1], data: new Float32Array(1) });
    expect(thrown(() => checkModelFits(backend, tinyConfig)).message).toMatch(
      /, since 1 bytes of \d+ bytes are in use/,
    );
  });

  it('is told of in words that help', () => {
    // Mamba-2.8b on 32-bit WebAssembly.
    const large = modelConfig({ layers: 64, dModel: 2560, vocabSize: 50280 });
    const told = (limit: number, dtypes?: DType[]) =>
      thrown(() => checkModelFits(bounded(limit, dtypes), large)).message;
    expect(told(2 ** 32)).toMatch(
      /got 10\.3 GiB of weights in float32, expected at most 4\.0 GiB\. Load it with weights: 'q8', which takes 2\.8 GiB\.$/,
    );
    expect(told(2 ** 31)).toContain("weights: 'q4'");
    expect(told(7 * 2 ** 30)).toContain("weights: 'float16'");
    expect(told(2 ** 32, ['float32', 'float16'])).toContain('Take another backend, or a smaller model.');
    expect(told(2 ** 30)).toContain('Take another backend, or a smaller model.');
  });

  it('of a dtype that the backend does not store is refused with nothing read, naming those that it does', async () => {
    const backend = bounded(undefined, ['float32', 'q8']);
    const { read, error } = await load(backend, { weights: 'float16' });
    expect(read).toBe(0);
    expect(error).toMatchObject({ code: 'unsupported', given: 'float16', expected: 'float32 or q8' });
    expect(error!.message).toContain('it does not store float16');
    for (const weights of ['float32', 'q8'] as const) expect((await load(backend, { weights })).error).toBeUndefined();
    expect(thrown(() => checkModelFits(bounded(undefined, []), tinyConfig)).remedy).toBe('Take another backend.');
    const absurd = modelConfig({ layers: 2, dModel: 2 ** 24, vocabSize: 10 }, { dInner: 2 ** 24 });
    expect(thrown(() => checkModelFits(backend, absurd))).toMatchObject({ code: 'unsupported' });
    expect(thrown(() => checkModelFits(bounded(2 ** 32), absurd))).toMatchObject({ code: 'out-of-memory' });
    expect(() => checkModelFits(backend, { ...tinyConfig, blocks: [] })).toThrow(failure('invalid-argument'));
  });
});
