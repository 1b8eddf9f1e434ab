/**
 * Every one of 10,000 damaged files is read, or refused with a typed error. The damage is seeded, so that a failure can
 * be repeated.
 */
import { readFile } from 'node:fs/promises';
import { isMambaError, modelParameters } from '@mamba/core';
import { expect, it } from 'vitest';
import { bytesSource, openCheckpoint, openSafetensors, writeSafetensors } from '../src/index.ts';
import { FIXTURES, memoryStore, random } from './helpers.ts';

const COUNT = 10_000;
const WORDS = [
  'null',
  '-1',
  '1e99',
  '[]',
  '{}',
  '""',
  'true',
  '9007199254740993',
  '"F32"',
  '[0,8]',
  '__proto__',
  '\\u0000',
];

/** Flips, cuts, inserts, repeats or swaps bytes, a third of the times in the header. */
function mutate(bytes: Uint8Array, pick: (limit: number) => number): Uint8Array {
  let mutated: Uint8Array = new Uint8Array(bytes);
  const reach = (): number => pick(pick(3) === 0 ? Math.min(mutated.length, 2000) : mutated.length);
  for (let round = 1 + pick(4); round > 0 && mutated.length > 0; round--) {
    const at = reach();
    const insert = (piece: Uint8Array): Uint8Array =>
      new Uint8Array(Buffer.concat([mutated.subarray(0, at), piece, mutated.subarray(at + pick(piece.length + 1))]));
    switch (pick(6)) {
      case 0:
        mutated[at]! ^= 1 << pick(8);
        break;
      case 1:
        mutated[at] = pick(256);
        break;
      case 2:
        mutated = mutated.slice(0, at);
        break;
      case 3:
        mutated = insert(new TextEncoder().encode(WORDS[pick(WORDS.length)]!));
        break;
      case 4:
        mutated = insert(mutated.slice(at, at + pick(64)));
        break;
      default:
        mutated[pick(8)] = pick(256);
    }
  }
  return mutated;
}

it(`survives ${COUNT} damaged safetensors, config and index files`, async () => {
  const pick = random(20231201);
  // A model of one layer keeps 10,000 files fast; mutations hit the header all the same.
  const text = await readFile(`${FIXTURES}/falcon-mamba-tiny/config.json`, 'utf8');
  const config = new TextEncoder().encode(text.replace(/"num_hidden_layers": \d+/, '"num_hidden_layers": 1'));
  const whole = await openSafetensors(bytesSource(await readFile(`${FIXTURES}/falcon-mamba-tiny/model.safetensors`)));
  const tensors = await Promise.all(
    [...whole.tensors]
      .filter(([name]) => !/\.layers\.[1-9]/.test(name))
      .map(async ([name, { dtype, shape }]) => {
        return [name, { dtype, shape, bytes: await whole.readBytes(name) }] as const;
      }),
  );
  const small = writeSafetensors(
    [
      ['x', { dtype: 'float32', shape: [2, 3], data: new Float32Array(6) }],
      ['ids', { dtype: 'I64', shape: [2], bytes: new Uint8Array(16) }],
      ['h', { dtype: 'bfloat16', shape: [5], data: new Uint16Array(5) }],
    ],
    [['format', 'pt']],
  );
  const model = writeSafetensors(tensors);
  const index = new TextEncoder().encode(
    JSON.stringify({ metadata: {}, weight_map: Object.fromEntries(tensors.map(([name]) => [name, 'a.safetensors'])) }),
  );

  const outcomes = { read: 0, refused: 0 };
  const targets = ['small', 'small', 'small', 'config', 'index'] as const;
  for (let round = 0; round < COUNT; round++) {
    // Damage in a whole model nearly always hits the numbers.
    const target = round % 60 === 0 ? 'model' : targets[round % targets.length]!;
    try {
      if (target === 'small') {
        const file = await openSafetensors(bytesSource(mutate(small, pick)));
        for (const name of file.tensors.keys()) await file.read(name);
      } else {
        const sharded = target === 'index';
        const checkpoint = await openCheckpoint(
          memoryStore({
            'config.json': target === 'config' ? mutate(config, pick) : config,
            ...(sharded
              ? { 'model.safetensors.index.json': mutate(index, pick), 'a.safetensors': model }
              : { 'model.safetensors': target === 'model' ? mutate(model, pick) : model }),
          }),
          { onWarning() {} },
        );
        for (const spec of modelParameters(checkpoint.config)) await checkpoint.source(spec);
      }
      outcomes.read++;
    } catch (error) {
      if (!isMambaError(error)) throw new Error(`round ${round} (${target}) threw`, { cause: error });
      outcomes.refused++;
    }
  }
  expect(outcomes.read + outcomes.refused).toBe(COUNT);
  // Both outcomes occur: mutations are neither all fatal nor all harmless.
  expect(outcomes.read).toBeGreaterThan(COUNT / 100);
  expect(outcomes.refused).toBeGreaterThan(COUNT / 4);
});
