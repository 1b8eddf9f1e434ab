/**
 * Every one of 10,000 damaged GGUF files is read, or refused with a typed error. The damage is seeded, so that a
 * failure can be repeated.
 */
import { isMambaError, modelConfig, modelParameters, sizeOf } from '@mamba/core';
import { expect, it } from 'vitest';
import { ggufTokenizer, memorySink, openCheckpoint, writeGguf } from '../src/index.ts';
import { ggufStore } from './gguf-helpers.ts';
import { random } from './helpers.ts';

const COUNT = 10_000;
/** Values that make wrong lengths, counts, types and offsets. */
const WORDS = [0n, 1n, 8n, 9n, 31n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n];

function mutate(bytes: Uint8Array, header: number, pick: (limit: number) => number): Uint8Array {
  let mutated: Uint8Array = new Uint8Array(bytes);
  for (let round = 1 + pick(3); round > 0 && mutated.length > 8; round--) {
    const at = pick(pick(8) === 0 ? mutated.length : Math.min(mutated.length, header));
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
        if (at + 8 <= mutated.length) new DataView(mutated.buffer).setBigUint64(at, WORDS[pick(WORDS.length)]!, true);
        break;
      case 4: {
        const piece = mutated.slice(at, at + pick(64));
        const joined = new Uint8Array(mutated.length + piece.length);
        joined.set(mutated.subarray(0, at));
        joined.set(piece, at);
        joined.set(mutated.subarray(at), at + piece.length);
        mutated = joined;
        break;
      }
      default:
        mutated.copyWithin(at, pick(mutated.length), pick(mutated.length));
    }
  }
  return mutated;
}

it(`survives ${COUNT} damaged files`, { timeout: 120_000 }, async () => {
  const pick = random(20240115);
  const config = modelConfig({ layers: 1, dModel: 32, vocabSize: 8 }, { dState: 2, dtRank: 2 });
  const vocab = Object.fromEntries(['a', 'b', 'ab', '<s>', 'Ġ', 'c', 'd', 'e'].map((token, id) => [token, id]));
  const sink = memorySink();
  await writeGguf({
    config,
    type: 'Q5_1',
    sink,
    source: ({ key, shape }) => ({
      dtype: 'float32',
      shape,
      data: Float32Array.from({ length: sizeOf(shape) }, () => (key === 'block.A' ? -1 - pick(5) : pick(9) - 4)),
    }),
    tokenizer: {
      added_tokens: [{ id: 3, content: '<s>', special: true }],
      pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false },
      model: { type: 'BPE', vocab, merges: ['a b'] },
    },
    specialTokens: { bos: 3, eos: [3] },
  });
  const whole = sink.bytes();
  const header = Buffer.from(whole).lastIndexOf('output_norm.weight') + 64;

  const outcomes = { read: 0, refused: 0 };
  for (let round = 0; round < COUNT; round++) {
    const store = ggufStore(mutate(whole, header, pick));
    try {
      const checkpoint = await openCheckpoint(store, { onWarning() {} });
      try {
        for (const spec of modelParameters(checkpoint.config)) await checkpoint.source(spec);
        ggufTokenizer(checkpoint.gguf!);
      } finally {
        await checkpoint.close();
      }
      outcomes.read++;
    } catch (error) {
      if (!isMambaError(error)) throw new Error(`round ${round} threw`, { cause: error });
      outcomes.refused++;
    }
    expect(store.opened).toBe(0);
  }
  expect(outcomes.read + outcomes.refused).toBe(COUNT);
  // Both outcomes occur: mutations are neither all fatal nor all harmless.
  expect(outcomes.read).toBeGreaterThan(COUNT / 100);
  expect(outcomes.refused).toBeGreaterThan(COUNT / 4);
});
