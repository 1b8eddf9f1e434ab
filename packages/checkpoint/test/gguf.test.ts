import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { pathToFileURL } from 'node:url';
import { gguf as huggingFaceGguf } from '@huggingface/gguf';
import type { HostTensor, ParameterSource } from '@mamba/core';
import { blocksOf, modelParameters, sizeOf } from '@mamba/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  bytesSource,
  createFile,
  GGUF_WRITABLE_TYPES,
  memorySink,
  openCheckpoint,
  openGguf,
  writeGguf,
} from '../src/index.ts';
import {
  converted,
  expectSameBits,
  expectSameParameters,
  floats,
  ggufStore,
  join,
  parameterFloats,
  RawGguf,
  string,
  u32,
  u64,
} from './gguf-helpers.ts';
import { expectError, FIXTURES, type memoryStore } from './helpers.ts';

const FOLDERS = [
  'mamba-tiny',
  'mamba-tiny-biased',
  'mamba-tiny-f16',
  'mamba-tiny-bf16',
  'falcon-mamba-tiny',
  'induction-heads',
  'kjv-mamba',
];

describe('fixtures as GGUF', () => {
  it.each(FOLDERS)('gives %s back in F32, every parameter to the bit', async (folder) => {
    const original = await openCheckpoint(`${FIXTURES}/${folder}`);
    const store = ggufStore(await converted(folder, 'F32'));
    const copy = await openCheckpoint(store);
    expect(copy.config).toEqual(original.config);
    expect(copy.specialTokens).toEqual(original.specialTokens);
    expect(copy.gguf!.metadata.get('general.architecture')).toBe('mamba');
    await expectSameParameters(copy, original);
    await copy.close();
    expect(store.opened).toBe(0);
    await original.close();
  });

  it.each(['F16', 'BF16'] as const)('keeps halves as halves (%s)', async (type) => {
    const folder = type === 'F16' ? 'mamba-tiny-f16' : 'mamba-tiny-bf16';
    const original = await openCheckpoint(`${FIXTURES}/${folder}`);
    const copy = await openCheckpoint(ggufStore(await converted(folder, type)));
    for (const spec of modelParameters(copy.config)) {
      const host = await copy.source(spec);
      expect(host.dtype).toBe(spec.role === 'vector' ? 'float32' : type === 'F16' ? 'float16' : 'bfloat16');
      expectSameBits(await floats(host), await floats(await original.source(spec)), spec.name);
    }
    await original.close();
  });

  it('quantises matrices alone, the vocabulary to 8 bits at least, odd rows to F16', async () => {
    const original = await openCheckpoint(`${FIXTURES}/kjv-mamba`);
    const exact = await parameterFloats(original);
    const errors: Record<string, number> = {};
    for (const type of GGUF_WRITABLE_TYPES) {
      const bytes = await converted('kjv-mamba', type);
      const copy = await openCheckpoint(ggufStore(bytes));
      let error = 0;
      let size = 0;
      for (const spec of modelParameters(copy.config)) {
        const values = await floats(await copy.source(spec));
        const wanted = exact.get(spec.name)!;
        if (spec.role === 'vector') expectSameBits(values, wanted, spec.name);
        for (let index = 0; index < wanted.length; index++) {
          error += (values[index]! - wanted[index]!) ** 2;
          size += wanted[index]! ** 2;
        }
      }
      errors[type] = Math.sqrt(error / size);
      const dtypes = (name: string) => copy.tensors.tensors.get(name)!.dtype;
      const quantised = type.startsWith('Q');
      expect(dtypes('blk.0.ssm_in.weight')).toBe(type);
      expect(dtypes('blk.0.ssm_dt.weight')).toBe(quantised ? 'F16' : type);
      expect(dtypes('token_embd.weight')).toBe(quantised ? 'Q8_0' : type);
      expect(dtypes('blk.0.ssm_conv1d.weight')).toBe('F32');
      const raw = await copy.gguf!.readRaw('blk.0.ssm_in.weight');
      expect(raw.type).toBe(type);
      expect(raw.bytes.length).toBe(
        (768 * 192 * { F32: 128, F16: 64, BF16: 64, Q8_0: 34, Q4_0: 18, Q4_1: 20, Q5_0: 22, Q5_1: 24 }[type]) / 32,
      );
    }
    // The weights are F16 already. Rounding them to n bits of the largest of 32 has an error of about 2^-n.
    expect(errors.F32).toBe(0);
    expect(errors.F16).toBe(0);
    expect(errors.BF16).toBeLessThan(2 ** -9);
    expect(errors.Q8_0).toBeLessThan(2 ** -7);
    for (const type of ['Q5_0', 'Q5_1']) expect(errors[type]).toBeLessThan(2 ** -4);
    for (const type of ['Q4_0', 'Q4_1']) expect(errors[type]).toBeLessThan(2 ** -3);
    for (const type of ['Q8_0', 'Q5_0', 'Q5_1', 'Q4_0', 'Q4_1']) expect(errors[type]).toBeGreaterThan(0);
    await original.close();
  });

  it('has a header that @huggingface/gguf reads the same', async () => {
    const tokenizer: unknown = JSON.parse(await readFile(`${FIXTURES}/kjv-mamba/tokenizer.json`, 'utf8'));
    const bytes = await converted('kjv-mamba', 'Q8_0', { tokenizer, name: 'kjv', chatTemplate: '{{ messages }}' });
    const theirs = await huggingFaceGguf('http://localhost/kjv.gguf', {
      fetch: async (_, init) => {
        const [, from, to] = /bytes=(\d+)-(\d+)/.exec((init!.headers as Record<string, string>).Range!)!;
        return new Response(new Uint8Array(bytes.subarray(Number(from), Number(to) + 1)), { status: 206 });
      },
    });
    const ours = await openGguf(bytesSource(bytes));
    const { version, tensor_count, kv_count, ...metadata } = theirs.metadata as Record<string, unknown>;
    expect(Object.fromEntries(ours.metadata)).toEqual(metadata);
    expect([version, tensor_count, kv_count]).toEqual([3, BigInt(ours.tensors.size), BigInt(ours.metadata.size)]);
    const tensors = [...ours.tensors].map(([name, { shape, begin }]) => [name, shape.toReversed(), begin]);
    expect(theirs.tensorInfos.map(({ name, shape, offset }) => [name, shape.map(Number), Number(offset)])).toEqual(
      tensors,
    );
  });

  it('says what llama.cpp cannot load, and names what it changes', async () => {
    const limits = async (folder: string): Promise<readonly string[]> => {
      const { config, source, close } = await openCheckpoint(`${FIXTURES}/${folder}`);
      const written = await writeGguf({ config, source, type: 'F32', sink: memorySink() });
      await close();
      return written.llamaCppLimits;
    };
    expect(await limits('mamba-tiny')).toEqual([]);
    expect((await limits('mamba-tiny-biased')).join()).toMatch(/biases.*convolution/);
    expect((await limits('falcon-mamba-tiny')).join()).toContain('normEps 0.00001 there, not 0.000001');
  });
});

describe('GGUF files on a disk', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(joinPath(tmpdir(), 'mamba-gguf-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('are found by path, address, folder and choice', async () => {
    const bytes = await converted('mamba-tiny-f16', 'F16');
    const path = joinPath(folder, 'tiny model.gguf');
    await writeFile(path, bytes);
    const wanted = await openCheckpoint(ggufStore(bytes));
    const file = new File([new Uint8Array(bytes)], 'tiny.gguf');
    for (const location of [path, pathToFileURL(path), String(pathToFileURL(path)), folder, [file]]) {
      const checkpoint = await openCheckpoint(location);
      await expectSameParameters(checkpoint, wanted);
      await checkpoint.close();
    }
    await writeFile(joinPath(folder, 'other.gguf'), bytes);
    await expectError(openCheckpoint(folder), 'invalid-file', 'other.gguf', 'tiny model.gguf', 'Give the path');
    await expectError(openCheckpoint(joinPath(folder, 'absent.gguf')), 'invalid-file', 'absent.gguf', 'no such file');
    // Safetensors take precedence where both exist.
    for (const name of ['config.json', 'model.safetensors'])
      await writeFile(joinPath(folder, name), await readFile(`${FIXTURES}/mamba-tiny/${name}`));
    const both = await openCheckpoint(folder);
    expect(both.gguf).toBeUndefined();
    await both.close();
  });

  it('appear whole or not at all, and leave the old one alone', async () => {
    const path = joinPath(folder, 'model.gguf');
    await writeFile(path, 'old');
    const { config, source, close } = await openCheckpoint(`${FIXTURES}/mamba-tiny`);
    let asked = 0;
    const failing: ParameterSource = (parameter) => {
      if (++asked === 7) throw new Error('no more');
      return source(parameter);
    };
    await expect(writeGguf({ config, source: failing, type: 'F32', sink: await createFile(path) })).rejects.toThrow(
      'no more',
    );
    const abort = new AbortController();
    const aborted = writeGguf({
      config,
      source,
      type: 'F32',
      sink: await createFile(path),
      signal: abort.signal,
      onProgress: () => abort.abort(),
    });
    await expectError(aborted, 'aborted', 'model.gguf');
    expect(await readdir(folder)).toEqual(['model.gguf']);
    expect(await readFile(path, 'utf8')).toBe('old');

    const progress: number[] = [];
    const written = await writeGguf({
      config,
      source,
      type: 'F32',
      sink: await createFile(path),
      onProgress: ({ bytes, totalBytes }) => progress.push(bytes / totalBytes),
    });
    expect(await readdir(folder)).toEqual(['model.gguf']);
    expect((await readFile(path)).length).toBe(written.bytes);
    expect(progress).toEqual(progress.toSorted((a, b) => a - b));
    expect(progress.at(-1)).toBe(1);
    await expectError(createFile(joinPath(folder, 'absent', 'x.gguf')), 'io', 'cannot be written');
    await close();
  });
});

describe('what cannot be written', () => {
  const write = async (change: (host: HostTensor) => HostTensor, type: string): Promise<unknown> => {
    const { config, source, close } = await openCheckpoint(`${FIXTURES}/induction-heads`);
    try {
      return await writeGguf({
        config,
        source: async (spec) => change(await source(spec)),
        type: type as 'F32',
        sink: memorySink(),
      });
    } finally {
      await close();
    }
  };
  const first = (value: number) => (host: HostTensor) => {
    const data = Float32Array.from(host.data);
    data[0] = value;
    return { dtype: 'float32', shape: host.shape, data } as const;
  };

  it('names the tensor, and the type that would do', async () => {
    await expectError(write(first(70000), 'F16'), 'invalid-argument', 'token_embd.weight', 'F16', 'BF16');
    await expectError(write(first(Number.NaN), 'Q8_0'), 'invalid-argument', 'token_embd.weight', 'finite');
    await expectError(write(first(3e38), 'Q4_1'), 'invalid-argument', 'token_embd.weight');
    await expectError(write(first(1), 'Q4_K'), 'invalid-argument', '"Q4_K"', 'Q8_0');
    await expectError(
      write((host) => ({ ...host, shape: [1] }), 'F32'),
      'invalid-argument',
      'embedding',
      '[16, 64]',
    );
    await expectError(write(first(70000), 'F16'), 'invalid-argument', '70000 at 0', 'F32 or BF16');
    await expectError(write(first(-Infinity), 'Q4_0'), 'invalid-argument', '-Infinity at 0', 'F32 or BF16');
    await expectError(write(first(3.4e38), 'BF16'), 'invalid-argument', 'Keep it in F32.');
    for (const type of ['F32', 'BF16']) await write(first(70000), type);
    await write(first(3.4e38), 'F32');
  });
});

describe('GGUF headers', () => {
  it('keeps every type of value, however long, over any number of readings', async () => {
    const long = 'x'.repeat(3_000_000);
    const texts = Array.from({ length: 4000 }, (_, index) => `${index} `.repeat(index % 40));
    const raw = new RawGguf()
      .entry('u8', 0, new Uint8Array([255]))
      .entry('i8', 1, new Uint8Array([255]))
      .entry('u16', 2, new Uint8Array([255, 255]))
      .entry('i16', 3, new Uint8Array([255, 255]))
      .entry('u32', 4, u32(2 ** 32 - 1))
      .entry('i32', 5, u32(2 ** 32 - 1))
      .entry('f32', 6, new Uint8Array(new Float32Array([0.1]).buffer))
      .entry('bool', 7, new Uint8Array([1]))
      .entry('texts', 9, join(u32(8), u64(texts.length), ...texts.map(string)))
      .entry('u64', 10, u64(2n ** 64n - 1n))
      .entry('i64', 11, u64(2n ** 64n - 7n))
      .entry('f64', 12, new Uint8Array(new Float64Array([0.1]).buffer))
      .entry('u64s', 9, join(u32(10), u64(2), u64(1), u64(2n ** 63n)))
      .entry('\u{feff}__proto__', 8, string('\u{feff}'))
      .entry('', 9, join(u32(4), u64(0)));
    const header = raw.bytes();
    const view = new DataView(header.buffer);
    view.setBigUint64(16, view.getBigUint64(16, true) + 1n, true);
    const bytes = new Uint8Array(header.length + 4 + 8 + 5 + 8 + long.length);
    bytes.set(header);
    bytes.set(join(string('long!'), u32(8), u64(long.length)), header.length);
    bytes.fill(120, bytes.length - long.length);
    const { metadata } = await openGguf(bytesSource(bytes));
    expect(Object.fromEntries(metadata)).toEqual({
      u8: 255,
      i8: -1,
      u16: 65535,
      i16: -1,
      u32: 2 ** 32 - 1,
      i32: -1,
      f32: Math.fround(0.1),
      bool: true,
      texts,
      u64: 2n ** 64n - 1n,
      i64: -7,
      f64: 0.1,
      u64s: [1, 2n ** 63n],
      '\u{feff}__proto__': '\u{feff}',
      '': [],
      'long!': long,
    });
  });

  it('takes other alignments, any order, and a last tensor without padding', async () => {
    const raw = new RawGguf()
      .entry('general.alignment', 4, u32(64))
      .tensor('b', [3], 0, 64)
      .tensor('a', [2, 5], 0, 0)
      .tensor('scalar', [], 0, 128);
    raw.data = new Uint8Array(132);
    new DataView(raw.data.buffer).setFloat32(68, 7, true);
    const file = await openGguf(bytesSource(raw.bytes(64)));
    expect(file.alignment).toBe(64);
    expect(file.tensors.get('a')!.shape).toEqual([5, 2]);
    expect((await file.read('b')).data).toEqual(new Float32Array([0, 7, 0]));
    expect((await file.read('scalar')).data).toEqual(new Float32Array([0]));
    await expectError(file.read('c'), 'invalid-argument', '"c"');
  });

  it('lists tensors of other types, and refuses to read them, saying what it reads', async () => {
    const raw = new RawGguf().tensor('a', [256], 10, 0).tensor('b', [4], 0, 96);
    raw.data = new Uint8Array(112);
    const file = await openGguf(raw.source());
    expect(file.tensors.get('a')!.dtype).toBe('Q2_K');
    expect((await file.readRaw('a')).bytes.length).toBe(96);
    await expectError(file.read('a'), 'unsupported', '"a"', 'Q2_K', 'Q4_K');
  });

  const LIES: readonly [what: string, raw: () => RawGguf, code: string, ...words: string[]][] = [
    ['another kind of file', () => Object.assign(new RawGguf(), { magic: 'GGML' }), 'invalid-file', 'GGUF'],
    ['version 1', () => Object.assign(new RawGguf(), { version: 1 }), 'unsupported', 'version 1', '2 or 3'],
    ['big-endian', () => Object.assign(new RawGguf(), { version: 0x03000000 }), 'unsupported', 'big-endian'],
    ['many keys', () => Object.assign(new RawGguf(), { keyCount: 2n ** 60n }), 'invalid-file', 'number of metadata'],
    ['many tensors', () => Object.assign(new RawGguf(), { tensorCount: 2n ** 63n }), 'invalid-file', 'tensors'],
    [
      'one key more than there is',
      () => Object.assign(new RawGguf().entry('a', 8, string('0123456789abcdef')), { keyCount: 2n }),
      'invalid-file',
      'cut off',
    ],
    ['a long string', () => new RawGguf().entry('a', 8, u64(2n ** 62n)), 'invalid-file', '"a"', 'is left'],
    ['a long array', () => new RawGguf().entry('a', 9, join(u32(0), u64(2n ** 62n))), 'invalid-file', '"a": length'],
    [
      'an array of arrays',
      () => new RawGguf().entry('a', 9, join(u32(9), u64(1), u64(0), u64(0))),
      'invalid-file',
      'arrays',
    ],
    ['an unknown type of value', () => new RawGguf().entry('a', 13, u32(1)), 'invalid-file', 'type 13'],
    ['a bool of 2', () => new RawGguf().entry('a', 7, new Uint8Array([2])), 'invalid-file', 'bool of 2'],
    ['a key twice', () => new RawGguf().entry('a', 4, u32(1)).entry('a', 4, u32(2)), 'invalid-file', '"a" twice'],
    [
      'bytes that are not UTF-8',
      () => new RawGguf().entry('a', 8, string(new Uint8Array([255]))),
      'invalid-file',
      'UTF-8',
    ],
    ['an alignment of 0', () => new RawGguf().entry('general.alignment', 4, u32(0)), 'invalid-file', 'power of two'],
    ['an alignment of 48', () => new RawGguf().entry('general.alignment', 4, u32(48)), 'invalid-file', 'power of two'],
    ['five axes', () => new RawGguf().tensor('t', [1, 1, 1, 1, 1], 0, 0), 'invalid-file', '5 axes'],
    ['an empty axis', () => new RawGguf().tensor('t', [4, 0], 0, 0), 'invalid-file', '[0, 4]'],
    ['huge axes', () => new RawGguf().tensor('t', [2n ** 40n, 2n ** 40n], 0, 0), 'invalid-file', 'extents'],
    ['an unknown type', () => new RawGguf().tensor('t', [4], 99, 0), 'invalid-file', 'type 99', 'Q6_K'],
    ['a withdrawn type', () => new RawGguf().tensor('t', [4], 4, 0), 'invalid-file', 'type 4'],
    ['half a block', () => new RawGguf().tensor('t', [48], 8, 0), 'invalid-file', 'rows of 48', 'multiple of 32'],
    ['an odd offset', () => new RawGguf().tensor('t', [4], 0, 16), 'invalid-file', 'offset 16', 'multiple of 32'],
    ['an end behind the data', () => new RawGguf().tensor('t', [99], 0, 0), 'invalid-file', '"t"', 'end of the data'],
    ['a far offset', () => new RawGguf().tensor('t', [4], 0, 2n ** 62n), 'invalid-file', 'end of the data'],
    ['no bytes for Q2_K', () => new RawGguf().tensor('t', [256], 10, 64), 'invalid-file', 'end of the data'],
    ['an overlap', () => new RawGguf().tensor('a', [9], 0, 0).tensor('b', [8], 0, 32), 'invalid-file', '"a"', '32'],
    ['one place twice', () => new RawGguf().tensor('a', [8], 0, 0).tensor('b', [8], 0, 0), 'invalid-file', 'from 0'],
    ['a name twice', () => new RawGguf().tensor('a', [8], 0, 0).tensor('a', [8], 0, 32), 'invalid-file', '"a" twice'],
  ];

  it.each(LIES)('refuses %s', async (_, make, code, ...words) => {
    const raw = make();
    if (raw.tensors.length > 0) raw.data = new Uint8Array(64);
    const store = ggufStore(raw.bytes());
    await expectError(openCheckpoint(store), code, 'model.gguf', ...words);
    expect(store.opened).toBe(0);
  });

  it('refuses a file that ends anywhere in its header', async () => {
    const bytes = await converted('induction-heads', 'F32');
    const end = (await openGguf(bytesSource(bytes))).tensors.size * 40;
    for (let length = 0; length < end; length += 13)
      await expectError(openGguf(bytesSource(bytes.subarray(0, length))), 'invalid-file');
    await expectError(openGguf(bytesSource(bytes.subarray(0, -33))), 'invalid-file', 'end of the data');
  });
});

describe('GGUF models', () => {
  /** A converted file with one metadata key or tensor name replaced by another of the same length. */
  async function changed(from: string, to: string): Promise<ReturnType<typeof memoryStore>> {
    const bytes = Buffer.from(await converted('induction-heads', 'F32'));
    const at = bytes.indexOf(from);
    expect(at).toBeGreaterThan(0);
    bytes.write(to, at);
    return ggufStore(bytes);
  }

  it.each([
    ['mamba.embedding_length', 'mamba.embedding_lengtx', 'invalid-file', ['mamba.embedding_length', 'nothing']],
    ['mamba.ssm.inner_size', 'mamba.ssm.inner_sizx', 'invalid-file', ['mamba.ssm.inner_size']],
    ['token_embd.weight', 'token_embd.weighx', 'invalid-file', ['token_embd.weight']],
    ['blk.1.ssm_a', 'blk.1.ssm_b', 'invalid-file', ['blk.1.ssm_a']],
    ['blk.1.ssm_conv1d.bias', 'blk.9.ssm_conv1d.bias', 'invalid-file', ['blk.1.ssm_conv1d.bias']],
    ['blk.0.ssm_conv1d.bias', 'blk.9.ssm_conv1d.bias', 'invalid-file', ['no place for', 'blk.9.ssm_conv1d.bias']],
  ] as const)('refuses %s renamed', async (from, to, code, words) => {
    const store = await changed(from, to);
    await expectError(openCheckpoint(store), code, ...words);
    expect(store.opened).toBe(0);
  });

  it('refuses other architectures, parts of a split file, wrong shapes, and an A_log in the place of A', async () => {
    const other = new RawGguf().entry('general.architecture', 8, string('mistral'));
    await expectError(openCheckpoint(ggufStore(other.bytes())), 'unsupported', '"mistral"', '"mamba"');
    const split = new RawGguf()
      .entry('general.architecture', 8, string('mamba'))
      .entry('split.count', 2, new Uint8Array([3, 0]));
    await expectError(openCheckpoint(ggufStore(split.bytes())), 'unsupported', '3 parts', '-00001-of-00003');

    const { config, source, close } = await openCheckpoint(`${FIXTURES}/induction-heads`);
    const rewrite = async (change: Partial<typeof config>, from: ParameterSource = source): Promise<Uint8Array> => {
      const sink = memorySink();
      await writeGguf({ config: { ...config, ...change }, source: from, type: 'F32', sink });
      return sink.bytes();
    };
    const zeros: ParameterSource = ({ shape }) => ({ dtype: 'float32', shape, data: new Float32Array(sizeOf(shape)) });
    const blocks = blocksOf(config, 'mamba').map(({ block }) => ({ ...block, dState: 8 }));
    const bigintAsText = await rewrite({ blocks }, zeros);
    const at = Buffer.from(bigintAsText).indexOf('mamba.ssm.state_size') + 24;
    bigintAsText[at] = 16;
    await expectError(
      openCheckpoint(ggufStore(bigintAsText)),
      'invalid-file',
      'blk.0.ssm_x.weight',
      '[20, 128]',
      '[36, 128]',
    );

    const positive = await rewrite({}, async (spec) => {
      const host = await source(spec);
      if (spec.key !== 'block.A') return host;
      return { dtype: 'float32', shape: host.shape, data: Float32Array.from(host.data, (value) => -value) };
    });
    const checkpoint = await openCheckpoint(ggufStore(positive));
    const A = modelParameters(config).find(({ key }) => key === 'block.A')!;
    await expectError(Promise.resolve(checkpoint.source(A)), 'invalid-file', 'blk.0.ssm_a', '-exp(A_log)');
    await close();
  });

  it('refuses more metadata than any model has before it reads them', async () => {
    const raw = new RawGguf();
    raw.keyCount = 2n ** 17n + 1n;
    raw.data = new Uint8Array(2 ** 21);
    await expectError(openGguf(raw.source()), 'invalid-file', '131073 metadata or tensors', 'at most 131072');
  });
});
