import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openCheckpoint, writeSafetensors } from '@mamba/checkpoint';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BYTE_END } from '../data/tokens.ts';
import { resolveConfig } from './config.ts';
import { openTextData, type TextData } from './text-data.ts';

const KJV = fileURLToPath(new URL('../../../conformance/fixtures/kjv-mamba', import.meta.url));
const TEXT = 'And God said, Let there be light: and there was light.\n';
const { signal } = new AbortController();

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mamba-train-'));
  await writeFile(file('a.txt'), TEXT);
  await writeFile(file('b.txt'), TEXT.toUpperCase());
  await writeFile(file('c.bin'), Uint16Array.of(5, 7, 5, 900, 7, 5));
  const data = Int32Array.of(1, 2, 3, 4);
  await writeFile(file('d.safetensors'), writeSafetensors([['ids', { dtype: 'int32', shape: [4], data }]]));
});
afterAll(() => rm(folder, { recursive: true }));

function file(name: string): string {
  return join(folder, name);
}

function open(files: readonly string[], options: object = {}, init?: Awaited<ReturnType<typeof openCheckpoint>>) {
  const config = resolveConfig('lm', { files: files.map(file), out: folder, heldOut: 0, ...options });
  return openTextData(config, init, signal);
}

async function idsOf({ train }: TextData): Promise<readonly number[]> {
  return [...(await train.read(0, train.tokens)).ids];
}

describe('the data of a language model', () => {
  it('is bytes by default, with a token after each file', async () => {
    const data = await open(['a.txt', 'b.txt'], { heldOut: 0.5 });
    expect([data.vocabSize, data.end, data.train.tokens, data.heldOut.tokens]).toEqual([257, BYTE_END, 56, 56]);
    expect((await idsOf(data)).at(-1)).toBe(BYTE_END);
    expect([...data.files.keys()]).toEqual(['tokenizer.json', 'tokenizer_config.json']);
    await data.close();
  });

  it('is what a tokenizer makes of text', async () => {
    const data = await open(['a.txt', 'b.txt'], { tokenizer: KJV });
    expect([data.vocabSize, data.end]).toEqual([1024, 0]);
    const ids = await idsOf(data);
    expect(ids.filter((id) => id === 0).length).toBe(2);
    expect(ids.reduce((sum, id) => sum + data.byteLength!(id), 0)).toBe(2 * TEXT.length);
    await data.close();
  });

  it('leaves nothing behind where it is aborted', async () => {
    const config = resolveConfig('lm', { files: [file('a.txt')], out: file('aborted'), tokenizer: KJV });
    await mkdir(config.out);
    await expect(openTextData(config, undefined, AbortSignal.abort())).rejects.toMatchObject({ code: 'aborted' });
    expect(await readdir(config.out)).toEqual([]);
  });

  it('takes the tokenizer of the model to fine-tune', async () => {
    const init = await openCheckpoint(KJV);
    const data = await open(['a.txt'], {}, init);
    expect(data.vocabSize).toBe(1024);
    await data.close();
    await expect(open(['c.bin'], { endToken: 1024 }, init)).rejects.toThrow(/ids up to 1024, expected ids below 1024/);
    await init.close();
  });

  it('is tokens as files hold them', async () => {
    const data = await open(['c.bin', 'd.safetensors'], { endToken: 7 });
    expect(await idsOf(data)).toEqual([5, 7, 5, 900, 7, 5, 1, 2, 3, 4]);
    expect([...(await data.train.read(0, 10)).begins]).toEqual([1, 0, 1, 0, 0, 1, 1, 0, 0, 0]);
    expect([data.vocabSize, data.byteLength]).toEqual([901, undefined]);
    await data.close();
    await expect(open(['c.bin'], { vocab: 900 })).rejects.toThrow(/ids up to 900, expected ids below 900/);
  });

  it('says what is missing', async () => {
    await expect(open(['nothing.txt'])).rejects.toThrow(/no such file/);
    await expect(open(['a.txt'], { tokenizer: folder })).rejects.toThrow(/there is no tokenizer/);
  });
});
