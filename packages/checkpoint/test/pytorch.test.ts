/** Files of torch.save (pytorch_model.bin) are read and never run. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { modelParameters } from '@mamba/core';
import { describe, expect, it } from 'vitest';
import { bytesSource, type Checkpoint, openCheckpoint, openSafetensors } from '../src/index.ts';
import { openPytorch } from '../src/pytorch/file.ts';
import { expectSameParameters, parameterFloats } from './gguf-helpers.ts';
import { expectError, FIXTURES, memoryStore } from './helpers.ts';
import {
  Built,
  bytes,
  Call,
  contiguous,
  Global,
  Persistent,
  pickle,
  type STORAGES,
  stateDict,
  type TorchFile,
  type TorchTensor,
  Tuple,
  torchLegacy,
  torchZip,
  u64,
  zip,
} from './pytorch-helpers.ts';

const DATA = fileURLToPath(new URL('data', import.meta.url));

async function parts(folder: string): Promise<{ config: string; tensors: Map<string, TorchTensor> }> {
  const config = await readFile(`${FIXTURES}/${folder}/config.json`, 'utf8');
  const file = await openSafetensors(bytesSource(await readFile(`${FIXTURES}/${folder}/model.safetensors`)));
  const tensors = new Map<string, TorchTensor>();
  for (const [name, { dtype, shape }] of file.tensors)
    tensors.set(name, { dtype: dtype as keyof typeof STORAGES, shape, bytes: await file.readBytes(name) });
  return { config, tensors };
}

const open = (config: string, file: Uint8Array): Promise<Checkpoint> =>
  openCheckpoint(memoryStore({ 'config.json': config, 'pytorch_model.bin': file }));

const openBytes = (file: Uint8Array) => openPytorch(bytesSource(file, 'pytorch_model.bin'));
const floats = (...values: number[]): Uint8Array => new Uint8Array(Float32Array.from(values).buffer);

/** A dict of one tensor [2, 3] with the values 0 to 5, changed by `more`. */
function one(more: Partial<TorchTensor> = {}): TorchFile {
  const tensor: TorchTensor = { dtype: 'F32', shape: [2, 3], bytes: floats(0, 1, 2, 3, 4, 5), ...more };
  return stateDict(new Map([['x', tensor]]));
}

describe('files that PyTorch wrote', () => {
  it('give the tensors of the model that was saved', async () => {
    const [single, half] = ['mamba-original', 'mamba-original-bf16'].map((name) => openCheckpoint(`${DATA}/${name}`));
    const [bigintAsText, narrow] = [await single!, await half!];
    expect(bigintAsText.storedType({ key: 'embedding', layer: undefined })).toBe('F32');
    expect(narrow.storedType({ key: 'embedding', layer: undefined })).toBe('BF16');
    expect(bigintAsText.config).toEqual(narrow.config);
    const [a, b] = [await parameterFloats(bigintAsText), await parameterFloats(narrow)];
    for (const { name, key } of modelParameters(bigintAsText.config)) {
      if (key === 'block.A') continue;
      const worst = a.get(name)!.reduce((most, value, index) => {
        const error = Math.abs(value - b.get(name)![index]!);
        return Math.max(most, error / (Math.abs(value) || 1));
      }, 0);
      expect(worst, name).toBeLessThanOrEqual(2 ** -8);
    }
    await Promise.all([bigintAsText.close(), narrow.close()]);
  });
});

describe('pytorch_model.bin', () => {
  const forms: [string, (file: TorchFile) => Uint8Array][] = [
    ['a zip archive', (file) => torchZip(file)],
    ['a zip archive of protocol 4', (file) => torchZip(file, { protocol: 4 })],
    ['a zip64 archive with a name of its own', (file) => torchZip(file, { zip64: true, root: 'pytorch_model' })],
  ];
  it.each(forms)('is %s', async (_, write) => {
    for (const folder of ['mamba-tiny', 'mamba-tiny-f16', 'mamba-tiny-bf16', 'falcon-mamba-tiny']) {
      const { config, tensors } = await parts(folder);
      const plain = await openCheckpoint(`${FIXTURES}/${folder}`);
      const store = memoryStore({ 'config.json': config, 'pytorch_model.bin': write(stateDict(tensors)) });
      const read = await openCheckpoint(store);
      await expectSameParameters(read, plain);
      await Promise.all([plain.close(), read.close()]);
      expect(store.opened).toBe(0);
    }
  });

  it('is a row of pickles, as before PyTorch 1.6', async () => {
    const { config, tensors } = await parts('mamba-tiny');
    const plain = await openCheckpoint(`${FIXTURES}/mamba-tiny`);
    await expectSameParameters(await open(config, torchLegacy(stateDict(tensors, true))), plain);
    await plain.close();
  });

  it('is several that an index names', async () => {
    const { config, tensors } = await parts('mamba-tiny');
    const names = [...tensors.keys()];
    const shard = (index: number): string => `pytorch_model-0000${index + 1}-of-00002.bin`;
    const part = (index: number) => stateDict(new Map([...tensors].filter((_, at) => at % 2 === index)), index === 1);
    const map = Object.fromEntries(names.map((name, at) => [name, shard(at % 2)]));
    const files = {
      'config.json': config,
      'pytorch_model.bin.index.json': JSON.stringify({ metadata: {}, weight_map: map }),
      [shard(0)]: torchZip(part(0)),
      [shard(1)]: torchLegacy(part(1)),
    };
    const plain = await openCheckpoint(`${FIXTURES}/mamba-tiny`);
    const store = memoryStore(files);
    const sharded = await openCheckpoint(store);
    await expectSameParameters(sharded, plain);
    await Promise.all([plain.close(), sharded.close()]);
    expect(store.opened).toBe(0);
    const { [shard(1)]: _, ...fewer } = files;
    await expectError(openCheckpoint(memoryStore(fewer)), 'invalid-file', shard(1), 'missing');
  });

  it('comes after safetensors where there are both', async () => {
    const model = await readFile(`${FIXTURES}/mamba-tiny/model.safetensors`);
    const { config } = await parts('mamba-tiny');
    const files = { 'config.json': config, 'model.safetensors': model, 'pytorch_model.bin': 'PK' };
    await (await openCheckpoint(memoryStore(files))).close();
    await expectError(
      openCheckpoint(memoryStore({ ...files, 'model.safetensors': '' })),
      'invalid-file',
      'safetensors',
    );
  });

  it('may hold a tied head that shares the storage of the embedding, parameters, a version and other facts', async () => {
    const { config, tensors } = await parts('mamba-tiny');
    const embedding = { ...tensors.get('backbone.embeddings.weight')!, storage: 'shared', parameter: true };
    const all = new Map(tensors).set('backbone.embeddings.weight', embedding).set('lm_head.weight', embedding);
    const file = stateDict(all);
    const versions = new Map([['_metadata', new Map([['', new Map([['version', 1]])]])]]);
    const ordered = new Built(file.pickled, versions);
    const nested = new Map<string, unknown>([
      ['epoch', 3],
      ['lr', 1e-4],
      ['args', null],
      ['state_dict', ordered],
    ]);
    const plain = await openCheckpoint(`${FIXTURES}/mamba-tiny`);
    for (const pickled of [file.pickled, ordered, nested])
      await expectSameParameters(await open(config, torchZip({ ...file, pickled })), plain);
    const source = bytesSource(torchZip(file), 'pytorch_model.bin');
    let read = 0;
    const counting = {
      ...source,
      read(offset: number, length: number) {
        read += length;
        return source.read(offset, length);
      },
    };
    const store = memoryStore({ 'config.json': config });
    const shared = await openCheckpoint({
      name: 'shared',
      open: async (name) => (name === 'pytorch_model.bin' ? counting : store.open(name)),
    });
    // The head is recognised as the embedding without reading either.
    expect(read).toBeLessThan(source.size / 2);
    await shared.close();
    await plain.close();
  });
});

describe('tensors of PyTorch', () => {
  const values = async (file: TorchFile): Promise<number[]> => [
    ...(await (await openBytes(torchZip(file))).read('x')).data,
  ];

  it('are views of storages', async () => {
    expect(await values(one())).toEqual([0, 1, 2, 3, 4, 5]);
    expect(await values(one({ shape: [3, 2], strides: [1, 3] }))).toEqual([0, 3, 1, 4, 2, 5]);
    expect(await values(one({ shape: [2, 2], strides: [3, 1], offset: 1 }))).toEqual([1, 2, 4, 5]);
    expect(await values(one({ shape: [4], offset: 2 }))).toEqual([2, 3, 4, 5]);
    expect(await values(one({ shape: [2, 3], strides: [0, 2] }))).toEqual([0, 2, 4, 0, 2, 4]);
    expect(await values(one({ shape: [1, 6], strides: [77, 1] }))).toEqual([0, 1, 2, 3, 4, 5]);
    expect(await values(one({ shape: [], strides: [] }))).toEqual([0]);
  });

  it('give rows and bytes of them, whichever way they lie', async () => {
    const many = Array.from({ length: 24 }, (_, index) => index);
    for (const [shape, strides] of [
      [[6, 4], contiguous([6, 4])],
      [
        [6, 4],
        [1, 6],
      ],
    ] as const) {
      const file = await openBytes(torchZip(one({ shape, strides, bytes: floats(...many) })));
      const whole = await file.readBytes('x');
      for (const [first, count] of [
        [0, 6],
        [2, 3],
        [5, 1],
      ] as const) {
        const { data } = await file.rows('x').rows(first, count);
        const wanted = new Float32Array(whole.slice().buffer).subarray(first * 4, (first + count) * 4);
        expect([...data]).toEqual([...wanted]);
      }
      expect(await file.readBytes('x', 7, 61)).toEqual(whole.slice(7, 61));
      expect(file.tensors.get('x')).toMatchObject({ dtype: 'F32', shape: [6, 4] });
    }
  });

  it('are of many dtypes, of which floats and integers are read', async () => {
    const ids = new Uint8Array(BigInt64Array.of(1n, -2n).buffer);
    expect(await values(one({ dtype: 'I64', shape: [2], bytes: ids }))).toEqual([1, -2]);
    expect(await values(one({ dtype: 'F64', shape: [1], bytes: new Uint8Array(Float64Array.of(0.1).buffer) }))).toEqual(
      [0.1],
    );
    const untyped = (dtype: string): TorchFile => {
      const id = new Tuple('storage', new Global('torch.storage', 'UntypedStorage'), '0', 'cpu', 4);
      const args = [new Persistent(id), 0, new Tuple(2), new Tuple(1), false, null, new Global('torch', dtype)];
      const call = new Call(new Global('torch._utils', '_rebuild_tensor_v3'), ...args);
      const storages = new Map([['0', { bytes: Uint8Array.of(0, 0x3c, 0, 0xbc), elements: 4 }]]);
      return { pickled: new Map([['x', call]]), storages };
    };
    expect(await values(untyped('float16'))).toEqual([0x3c00, 0xbc00]);
    const eight = await openBytes(torchZip(untyped('float8_e4m3fn')));
    await expectError(eight.read('x'), 'unsupported', 'F8_E4M3');
    await expectError(openBytes(torchZip(untyped('float32'))), 'invalid-file', 'within the 1 elements');
    await expectError(openBytes(torchZip(untyped('quint8'))), 'unsupported', 'torch.quint8');
  });
});

describe('what a pickle could do beside that', () => {
  const calls = [
    new Call(new Global('os', 'system'), 'true'),
    new Call(new Global('builtins', 'eval'), '1'),
    new Call(new Global('__builtin__', 'getattr'), 'x', 'y'),
    new Call(new Global('torch', 'load'), 'x'),
    new Call(new Global('torch._utils', '_rebuild_qtensor'), 'x'),
    new Call(new Global('torch.hub', 'load'), 'x'),
    new Call(new Global('numpy.core.multiarray', '_reconstruct'), 'x'),
    new Global('__main__', 'Config'),
    new Global('constructor', 'constructor'),
    new Global('toString', ''),
  ];
  it.each(calls)('is refused and named, wherever it stands', async (call) => {
    const { module, name } = (call instanceof Call ? call.callable : call) as Global;
    const full = `${module === '__builtin__' ? 'builtins' : module}.${name}`;
    const file = one();
    const places = [
      call,
      new Map<string, unknown>([...(file.pickled as Map<string, unknown>), ['y', call]]),
      new Map<string, unknown>([...(file.pickled as Map<string, unknown>), ['y', [new Tuple(1, call)]]]),
      new Built(file.pickled, call),
    ];
    for (const pickled of places) {
      for (const made of [torchZip({ ...file, pickled }), torchZip({ ...file, pickled }, { protocol: 4 })])
        await expectError(openBytes(made), 'unsupported', `"${full}"`, 'state_dict()', 'safetensors');
      await expectError(openBytes(torchLegacy({ ...file, pickled })), 'unsupported', `"${full}"`);
    }
  });

  it('is no call of what is no function, and no state of what is no dict', async () => {
    const refuse = async (pickled: unknown, ...words: string[]) =>
      expectError(openBytes(torchZip({ ...one(), pickled })), 'invalid-file', ...words);
    await refuse(new Call('print', 1), 'a call of "print"');
    await refuse(new Call(new Global('torch', 'FloatStorage')), 'a call of an object');
    await refuse(new Built([], new Map()), 'a state for a list');
    await refuse([one().pickled], 'a list without tensors');
    await refuse(new Map([['x', 1]]), 'a dict without tensors');
    await refuse(new Persistent(new Tuple('module', 1)), 'a reference to "module"');
    await refuse(new Persistent(5), 'a reference to undefined');
  });

  it('is refused where the bytes are not as they say', async () => {
    const { storages, pickled } = one();
    const refuse = async (file: Uint8Array, ...words: string[]) =>
      expectError(openBytes(file), 'invalid-file', ...words);
    await refuse(torchZip(one({ shape: [7], strides: [1] })), 'within the 6 elements');
    await refuse(torchZip(one({ offset: 1 })), 'within the 6 elements');
    await refuse(torchZip(one({ shape: [2 ** 30, 2 ** 30], strides: [0, 0] })), 'within the 6 elements');
    await refuse(torchZip(one({ shape: [2, 3], strides: [2 ** 52, 1] })), 'within the 6 elements');
    await refuse(torchZip(one({ shape: [2], strides: [1, 1] })), 'a shape and strides');
    await refuse(torchZip(one({ shape: [2.5] })), 'a shape and strides');
    await refuse(torchZip({ pickled, storages: new Map() }), '"x"', 'no storage "0"');
    const short = new Map([['0', { bytes: floats(1), elements: 6 }]]);
    await refuse(torchZip({ pickled, storages: short }), '"x"', '4 bytes in storage "0"', '24');
    const legacy = torchLegacy(one());
    await refuse(legacy.subarray(0, legacy.length - 1), 'storage "0"', 'cut off');
    await refuse(legacy.subarray(0, 60), 'do not end');
    const wrong = storages.get('0')!;
    await refuse(torchLegacy({ pickled, storages: new Map([['0', { ...wrong, elements: 5 }]]) }), '5 elements', '6');
    await refuse(torchLegacy({ pickled, storages: new Map([...storages, ['1', wrong]]) }), 'the storage "1"');

    const whole = torchZip(one());
    await refuse(whole.subarray(0, whole.length - 30), 'no directory', 'cut off');
    await refuse(whole.subarray(0, 2), 'other first bytes');
    await refuse(bytes('PK'), 'other first bytes');
    await refuse(new Uint8Array(0), 'other first bytes');
    await refuse(
      zip([
        ['a/data.pkl', bytes(pickle(1), '')],
        ['b/data.pkl', pickle(1)],
      ]),
      '2 entries data.pkl',
    );
    await refuse(zip([['a/data.pkl', bytes([0x80, 2, 0x28])]]), 'does not end within 3 bytes');
    await refuse(zip([['a/data.pkl', bytes([0x80, 2], 'i')]]), 'the instruction 0x69');
    await refuse(zip([['a/data.pkl', bytes([0x80, 2, 0x8b], u64(2 ** 31), [0])]]), 'an integer of 2147483648 bytes');
    await refuse(
      zip([
        ['a/byteorder', bytes('big')],
        ['a/data.pkl', pickle(1)],
      ]),
      '"big"',
      'little',
    );
    await expectError(openBytes(zip([['a/data.pkl', pickle(1)]], false, 8)), 'unsupported', 'compressed', 'torch.save');
    const tar = new Uint8Array(1024);
    tar.set(bytes('storages'));
    tar.set(bytes('ustar'), 257);
    await expectError(openBytes(tar), 'unsupported', 'tar archive');
  });
});
