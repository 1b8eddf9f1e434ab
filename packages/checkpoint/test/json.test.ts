import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { openCheckpoint, openSafetensors, readJson } from '../src/index.ts';
import { bytesSource } from '../src/io/byte-source.ts';
import { expectError, FIXTURES, memoryStore, rawFile } from './helpers.ts';

const read = (text: string): Promise<unknown> => readJson(memoryStore({ 'a.json': text }), 'a.json');

describe('JSON files', () => {
  it('are read as Python writes them', async () => {
    expect(await read('{"a": [Infinity, -Infinity, NaN, 1.5], "NaN": "Infinity", "b": "a \\"NaN"}')).toEqual({
      a: [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN, 1.5],
      NaN: 'Infinity',
      b: 'a "NaN',
    });
    expect(await read('{"NaN~": "NaN", "x": NaN}')).toEqual({ 'NaN~': 'NaN', x: Number.NaN });
    for (const text of ['Infinit', '{"a": Nan}', '{"a": InfinityX}', '--Infinity', 'undefined', '', '{"a": NaN'])
      await expectError(read(text), 'invalid-file', 'not JSON');
    await expectError(read('{"a": NaN, "a": 1}'), 'invalid-file', 'twice');
  });

  it('may have a number in a config that JSON has no word for', async () => {
    const config = await readFile(`${FIXTURES}/mamba-tiny/config.json`, 'utf8');
    const model = await readFile(`${FIXTURES}/mamba-tiny/model.safetensors`);
    const open = (json: string) => openCheckpoint(memoryStore({ 'config.json': json, 'model.safetensors': model }));
    const plain = await open(config);
    const odd = await open(config.replace('{', '{ "time_step_limit": [0.0, Infinity],'));
    expect(odd.config).toEqual(plain.config);
    await expectError(
      open(config.replace(/"hidden_size": \d+/, '"hidden_size": Infinity')),
      'invalid-file',
      'hidden_size',
      'Infinity',
    );
  });

  it('are refused before they are parsed where they would exhaust memory', async () => {
    const deep = '['.repeat(300);
    await expectError(read(deep), 'invalid-file', 'nested', '256');
    await expectError(read(`${'{"a":'.repeat(300)}1${'}'.repeat(300)}`), 'invalid-file', 'nested');
    expect(await read(`{"a": "${deep}", "b": "\\"${deep}"}`)).toEqual({ a: deep, b: `"${deep}` });
    for (const header of ['['.repeat(1000), `{"a":${'['.repeat(20)}${']'.repeat(20)}}`])
      await expectError(openSafetensors(bytesSource(rawFile(header))), 'invalid-file', 'nested', '8');
    for (const piece of ['[],', '{},', '0,', '[[]],'])
      await expectError(
        openSafetensors(bytesSource(rawFile(`{"a":[${piece.repeat(2 ** 20)}0]}`))),
        'invalid-file',
        'more than 1048576 values',
      );
  });
});
