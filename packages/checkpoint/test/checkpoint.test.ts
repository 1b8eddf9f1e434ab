import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pathToFileURL } from 'node:url';
import { type HostRows, type HostTensor, modelParameters } from '@mamba/core';
import { afterEach, describe, expect, it } from 'vitest';
import {
  bytesSource,
  type Checkpoint,
  openCheckpoint,
  openSafetensors,
  openUrl,
  type RawTensor,
  writeSafetensors,
} from '../src/index.ts';
import { expectError, FIXTURES, memoryStore } from './helpers.ts';

const FOLDERS = [
  'mamba-tiny',
  'mamba-tiny-biased',
  'mamba-tiny-f16',
  'mamba-tiny-bf16',
  'falcon-mamba-tiny',
  'induction-heads',
  'kjv-mamba',
];

async function parameters({ config, source }: Checkpoint): Promise<ReadonlyMap<string, HostTensor>> {
  const all = new Map<string, HostTensor>();
  for (const spec of modelParameters(config)) {
    const host = await source(spec);
    expect(host.shape).toEqual(spec.shape);
    all.set(spec.name, host);
    const rows = await source.rows!(spec);
    expect(rows !== undefined, spec.name).toBe(spec.role === 'matrix');
    if (rows !== undefined) await expectRows(rows, host);
  }
  return all;
}

/** Reads a matrix in three pieces, which must equal the whole bit for bit. */
async function expectRows(rows: HostRows, whole: HostTensor): Promise<void> {
  const [count, columns] = whole.shape as [number, number];
  const bytes = ({ buffer, byteOffset, byteLength }: ArrayBufferView) => Buffer.from(buffer, byteOffset, byteLength);
  expect(rows).toMatchObject({ dtype: whole.dtype, shape: whole.shape });
  const step = Math.ceil(count / 3);
  for (let first = 0; first < count; first += step) {
    const taken = Math.min(step, count - first);
    const piece = await rows.rows(first, taken);
    expect(piece).toMatchObject({ dtype: whole.dtype, shape: [taken, columns] });
    const wanted = whole.data.subarray(first * columns, (first + taken) * columns);
    expect(bytes(piece.data).equals(bytes(wanted))).toBe(true);
  }
}

/** The files of a fixture in memory, with tensors that a test can change. */
async function parts(folder: string): Promise<{ config: Record<string, unknown>; tensors: Map<string, RawTensor> }> {
  const config = JSON.parse(await readFile(`${FIXTURES}/${folder}/config.json`, 'utf8')) as Record<string, unknown>;
  const file = await openSafetensors(bytesSource(await readFile(`${FIXTURES}/${folder}/model.safetensors`)));
  const tensors = new Map<string, RawTensor>();
  for (const [name, { dtype, shape }] of file.tensors)
    tensors.set(name, { dtype, shape, bytes: await file.readBytes(name) });
  return { config, tensors };
}

const pack = (config: object, tensors: Iterable<[string, RawTensor]>) =>
  memoryStore({ 'config.json': JSON.stringify(config), 'model.safetensors': writeSafetensors(tensors) });

describe('checkpoints', () => {
  it.each(FOLDERS)('gives every parameter of %s in its shape', async (folder) => {
    const checkpoint = await openCheckpoint(`${FIXTURES}/${folder}`);
    const all = await parameters(checkpoint);
    expect(all.get('layers.0.block.A')!.dtype).toBe('float64');
    expect(checkpoint.specialTokens).toEqual({ bos: 0, eos: [0] });
    await checkpoint.close();
  });

  it('computes A = -exp(A_log) in float64', async () => {
    const checkpoint = await openCheckpoint(pathToFileURL(`${FIXTURES}/mamba-tiny-bf16`));
    const logs = await checkpoint.tensors.read('backbone.layers.1.mixer.A_log');
    const A = (await parameters(checkpoint)).get('layers.1.block.A')!;
    const words = new Uint32Array(1);
    for (const [index, bits] of logs.data.entries()) {
      words[0] = bits << 16;
      expect(A.data[index]).toBe(-Math.exp(new Float32Array(words.buffer)[0]!));
    }
    await checkpoint.close();
  });

  it('gives the same by the original names and config', async () => {
    const { tensors } = await parts('mamba-tiny');
    const config = { d_model: 48, n_layer: 3, vocab_size: 93, ssm_cfg: {}, rms_norm: true };
    const renamed = [...tensors].map(
      ([name, tensor]) => [name.replace('backbone.embeddings.', 'backbone.embedding.'), tensor] as [string, RawTensor],
    );
    const original = await parameters(await openCheckpoint(pack(config, renamed)));
    const hugging = await openCheckpoint(`${FIXTURES}/mamba-tiny`);
    expect(original).toEqual(await parameters(hugging));
    await hugging.close();
  });

  it('takes shards as one file, and lets go of them', async () => {
    const { config, tensors } = await parts('mamba-tiny-f16');
    const shardName = (index: number): string => `model-${index}.safetensors`;
    const entries = [...tensors];
    const weightMap = Object.fromEntries(entries.map(([name], index) => [name, shardName(index % 3)]));
    const files = Object.fromEntries(
      [0, 1, 2].map((shard) => [shardName(shard), writeSafetensors(entries.filter((_, index) => index % 3 === shard))]),
    );
    const sharded = (index: object, shards: Record<string, Uint8Array> = files) =>
      memoryStore({
        'config.json': JSON.stringify(config),
        'model.safetensors.index.json': JSON.stringify(index),
        ...shards,
      });

    const store = sharded({ metadata: { total_size: 1 }, weight_map: weightMap });
    const checkpoint = await openCheckpoint(store);
    const single = await openCheckpoint(`${FIXTURES}/mamba-tiny-f16`);
    expect(await parameters(checkpoint)).toEqual(await parameters(single));
    await checkpoint.close();
    await single.close();
    expect(store.opened).toBe(0);

    const refuse = async (index: object, shards: Record<string, Uint8Array>, ...words: string[]): Promise<void> => {
      const bad = sharded(index, shards);
      await expectError(openCheckpoint(bad), 'invalid-file', ...words);
      expect(bad.opened).toBe(0);
    };
    const name = entries[0]![0];
    await refuse({ weight_map: weightMap }, { ...files, [shardName(1)]: new Uint8Array(0) }, shardName(1));
    await refuse({ weight_map: { ...weightMap, [name]: shardName(1) } }, files, name, shardName(1));
    await refuse({ weight_map: { ...weightMap, [name]: 'model-9.safetensors' } }, files, 'model-9.safetensors');
    for (const path of ['../secret', 'a/b.safetensors', '..', '/etc/passwd', 'a\\b', 'C:x', '', 7])
      await refuse({ weight_map: { ...weightMap, [name]: path } }, files, 'plain file name');
    await refuse({ weight_map: [] }, files, 'weight_map');
    await refuse({}, files, 'weight_map');
    const { [name]: _, ...fewer } = weightMap;
    await refuse({ weight_map: fewer }, files, name);
  });

  it('refuses tensors that are missing, left over, of a wrong shape or no floats, naming them', async () => {
    const { config, tensors } = await parts('mamba-tiny');
    const D = 'backbone.layers.1.mixer.D';
    const refuse = async (change: (map: Map<string, RawTensor>) => void, ...words: string[]): Promise<void> => {
      const changed = new Map(tensors);
      change(changed);
      const store = pack(config, changed);
      await expectError(openCheckpoint(store), 'invalid-file', ...words);
      expect(store.opened).toBe(0);
    };
    await refuse((map) => map.delete(D), D);
    await refuse((map) => map.set('extra', tensors.get(D)!), 'extra');
    await refuse((map) => map.set(D, { ...tensors.get(D)!, shape: [48, 2] }), D, '[48, 2]', '[96]');
    await refuse((map) => map.set(D, { ...tensors.get(D)!, dtype: 'I32' }), D, 'I32');
  });

  it('accepts a tied head that is a copy, and no other', async () => {
    const { config, tensors } = await parts('mamba-tiny');
    const embedding = tensors.get('backbone.embeddings.weight')!;
    const copy = await openCheckpoint(pack(config, [...tensors, ['lm_head.weight', embedding]]));
    await parameters(copy);
    const other = { ...embedding, bytes: embedding.bytes.slice() };
    other.bytes[1000]! ^= 1;
    await expectError(
      openCheckpoint(pack(config, [...tensors, ['lm_head.weight', other]])),
      'invalid-file',
      'lm_head.weight',
      'tied',
    );
    const untied = { ...config, tie_word_embeddings: false };
    await expectError(openCheckpoint(pack(untied, tensors)), 'invalid-file', 'lm_head.weight', 'not tied');
    expect((await openCheckpoint(pack(untied, [...tensors, ['lm_head.weight', other]]))).config.tiedHead).toBe(false);
  });

  it('says what is missing, and what a location may be', async () => {
    const file = `${FIXTURES}/mamba-tiny/model.safetensors`;
    await expectError(openCheckpoint(file), 'invalid-file', 'the folder that this file is in');
    await expectError(openCheckpoint(`${FIXTURES}/nowhere`), 'invalid-file', 'nowhere', 'config.json');
    await expectError(openCheckpoint(memoryStore({ 'config.json': '{}' })), 'invalid-file', 'model_type');
    const { config } = await parts('mamba-tiny');
    await expectError(
      openCheckpoint(memoryStore({ 'config.json': JSON.stringify(config) })),
      'invalid-file',
      'model.safetensors',
    );
    await expectError(openCheckpoint(''), 'invalid-argument', 'folder');
    await expectError(openCheckpoint(undefined as unknown as string), 'invalid-argument', 'folder');
  });

  it('opens chosen files', async () => {
    const names = ['config.json', 'model.safetensors'];
    const files = await Promise.all(
      names.map(async (name) => new File([await readFile(`${FIXTURES}/mamba-tiny/${name}`)], name)),
    );
    const chosen = await openCheckpoint(files);
    const folder = await openCheckpoint(`${FIXTURES}/mamba-tiny`);
    const expected = await parameters(folder);
    expect(await parameters(chosen)).toEqual(expected);
    await folder.close();

    // A browser lists a folder with the files of its subfolders, in any order.
    const inFolder = (file: File, path: string): File =>
      Object.defineProperty(file, 'webkitRelativePath', { value: path });
    const below = ['onnx', 'old'].map((name) => inFolder(new File(['{}'], 'config.json'), `model/${name}/config.json`));
    const [first, ...others] = files.map((file) => inFolder(file, `model/${file.name}`));
    const asFolder = await openCheckpoint([below[0]!, first!, ...others, below[1]!]);
    expect(await parameters(asFolder)).toEqual(expected);
  });
});

describe('checkpoints behind http', () => {
  let server: Server | undefined;
  afterEach(() => void server?.close());

  /** Serves the fixtures and counts the bytes that are sent. */
  async function serve(ranges: boolean): Promise<{ url: string; sent: () => number }> {
    let sent = 0;
    server = createServer(async (request, response) => {
      const bytes = await readFile(`${FIXTURES}${request.url}`).catch(() => undefined);
      if (bytes === undefined) return void response.writeHead(404).end();
      const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
      const range = ranges && from !== undefined;
      const body = range ? bytes.subarray(Number(from), Number(to) + 1) : bytes;
      sent += body.length;
      response.writeHead(range ? 206 : 200, {
        'content-length': body.length,
        ...(range && { 'content-range': `bytes ${from}-${Number(from) + body.length - 1}/${bytes.length}` }),
      });
      response.end(body);
    });
    await new Promise<void>((resolve) => server!.listen(0, '127.0.0.1', resolve));
    return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, sent: () => sent };
  }

  it.each([true, false])('gives the same as the folder (ranges: %s)', async (ranges) => {
    const { url } = await serve(ranges);
    const remote = await openCheckpoint(`${url}/mamba-tiny`);
    const local = await openCheckpoint(`${FIXTURES}/mamba-tiny`);
    expect(await parameters(remote)).toEqual(await parameters(local));
    await local.close();
  });

  it('reads what it is asked for, not the file', async () => {
    const { url, sent } = await serve(true);
    const file = await openSafetensors(await openUrl(`${url}/kjv-mamba/model.safetensors`));
    await file.read('backbone.layers.5.mixer.D');
    expect(sent()).toBe(64 * 1024 + 384 * 4);
  });

  it('refuses to read a large file whole, and reports what is absent, unreachable or aborted', async () => {
    const { url } = await serve(false);
    const path = `${url}/kjv-mamba/model.safetensors`;
    await expectError(openUrl(path, { maxWhole: 1000 }), 'unsupported', 'ranges');
    await expectError(openUrl(`${url}/absent`), 'invalid-file', '404');
    await expectError(openUrl('http://127.0.0.1:1/x', { wait: async () => {} }), 'io');
    await expectError(openUrl(path, { signal: AbortSignal.abort() }), 'aborted');
  });
});
