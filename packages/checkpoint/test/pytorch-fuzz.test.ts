/**
 * Every one of 10,000 damaged files of torch.save is read, or refused with a typed error. The damage is seeded, so that
 * a failure can be repeated.
 */
import { isMambaError } from '@mamba/core';
import { expect, it } from 'vitest';
import { bytesSource } from '../src/index.ts';
import { openPytorch } from '../src/pytorch/file.ts';
import { random } from './helpers.ts';
import { bytes, contiguous, stateDict, type TorchTensor, torchLegacy, torchZip } from './pytorch-helpers.ts';

const COUNT = 10_000;
/** Instructions and texts of pickles. */
const WORDS = [
  ...['R', 'b', 'Q', '.', '(', 't', 'u', 'e', '0', '1', '2', '\x81', '\x93', '\x94', '\x8b\xff\xff\xff\x7f'],
  ...['cos\nsystem\n', 'ctorch\nSize\n', 'X\xff\xff\xff\x7f', 'h\x01', 'q\x01', '\x8a\x09', 'J\xff\xff\xff\xff', 'G'],
  ...['PK\x01\x02', 'PK\x03\x04', 'PK\x05\x06', 'PK\x06\x06', 'PK\x06\x07', '\xff\xff\xff\xff', '\x01\x00\x18\x00'],
].map((word) => Uint8Array.from(word, (letter) => letter.charCodeAt(0)));

const floats = (count: number): Uint8Array => new Uint8Array(Float32Array.from({ length: count }, Math.sqrt).buffer);
const tensors = new Map<string, TorchTensor>([
  ['x', { dtype: 'F32', shape: [2, 3], bytes: floats(6), parameter: true }],
  ['y', { dtype: 'F32', shape: [3, 2], strides: [1, 3], bytes: floats(6), storage: '0' }],
  ['z', { dtype: 'I64', shape: [2], strides: contiguous([2]), bytes: new Uint8Array(16) }],
]);

/** Flips, cuts, inserts, repeats or swaps bytes, mostly in the first part, where the pickles are, or at the end. */
function mutate(file: Uint8Array, pick: (limit: number) => number): Uint8Array {
  let mutated: Uint8Array = file.slice();
  for (let round = 1 + pick(3); round > 0 && mutated.length > 0; round--) {
    const reach = Math.min(mutated.length, 900);
    const at = [pick(reach), mutated.length - 1 - pick(Math.min(mutated.length, 400)), pick(mutated.length)][pick(3)]!;
    const insert = (piece: Uint8Array): Uint8Array =>
      bytes(mutated.subarray(0, at), piece, mutated.subarray(at + pick(piece.length + 1)));
    switch (pick(6)) {
      case 0:
        mutated[at]! ^= 1 << pick(8);
        break;
      case 1:
        mutated[at] = pick(256);
        break;
      case 2:
        if (pick(4) === 0) mutated = mutated.slice(0, at);
        break;
      case 3:
        mutated = insert(mutated.slice(at, at + pick(64)));
        break;
      default: {
        // The word replaces bytes, so that the bytes after it stay in place.
        const word = WORDS[pick(WORDS.length)]!;
        if (at + word.length <= mutated.length) mutated.set(word, at);
      }
    }
  }
  return mutated;
}

it(`survives ${COUNT} damaged files of torch.save`, async () => {
  const pick = random(20240117);
  const files = [
    torchZip(stateDict(tensors)),
    torchZip(stateDict(tensors), { protocol: 4, zip64: true }),
    torchLegacy(stateDict(tensors, true)),
  ];
  const outcomes = { read: 0, refused: 0 };
  for (let round = 0; round < COUNT; round++) {
    try {
      const file = await openPytorch(bytesSource(mutate(files[round % files.length]!, pick)));
      for (const name of file.tensors.keys()) await file.read(name);
      outcomes.read++;
    } catch (error) {
      if (!isMambaError(error)) throw new Error(`round ${round} threw`, { cause: error });
      outcomes.refused++;
    }
  }
  expect(outcomes.read + outcomes.refused).toBe(COUNT);
  // Both outcomes occur: mutations are neither all fatal nor all harmless.
  expect(outcomes.read).toBeGreaterThan(COUNT / 100);
  expect(outcomes.refused).toBeGreaterThan(COUNT / 4);
});
