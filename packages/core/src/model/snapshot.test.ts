import { describe, expect, it } from 'vitest';
import { failure } from '../../test/fake-driver.ts';
import { isMambaError } from '../contract/errors.ts';
import { decodeSnapshot, encodeSnapshot, type StateSnapshot } from './snapshot.ts';

/** Two layers, two rows, with values that need every bit. */
function example(make: (values: number[]) => Float32Array | Float64Array): StateSnapshot {
  const values = (size: number, seed: number) =>
    make(Array.from({ length: size }, (_, i) => Math.sin(i + seed) * 10 ** (i % 7)));
  const layer = (seed: number) => ({ conv: values(2 * 3 * 2, seed), ssm: values(2 * 3 * 4, seed + 0.5) });
  return {
    version: 1,
    batch: 2,
    positions: [17, 2 ** 40],
    dInner: 3,
    dState: 4,
    dConv: 3,
    layers: [layer(1), layer(2)],
  };
}
const single = example((values) => Float32Array.from(values));
const double = example((values) => Float64Array.from(values));

/** The file with its header replaced and its checksum (FNV-1a) made good again. */
function withHeader(file: Uint8Array, edit: (header: Record<string, unknown>) => unknown): Uint8Array {
  const length = new DataView(file.buffer).getUint32(8, true);
  const header = JSON.parse(new TextDecoder().decode(file.subarray(16, 16 + length))) as Record<string, unknown>;
  const json = new TextEncoder().encode(JSON.stringify(edit(header)));
  const edited = new Uint8Array([...file.subarray(0, 16), ...json, ...file.subarray(16 + length)]);
  let hash = 0x811c9dc5;
  for (const byte of edited.subarray(16)) hash = Math.imul(hash ^ byte, 0x01000193);
  const view = new DataView(edited.buffer);
  view.setUint32(8, json.length, true);
  view.setUint32(12, hash, true);
  return edited;
}

describe('snapshots', () => {
  it.each([
    ['float32', single],
    ['float64', double],
  ])('come back as they went, in %s', (_, snapshot) => {
    expect(decodeSnapshot(encodeSnapshot(snapshot))).toEqual(snapshot);
    const named = { ...snapshot, fingerprint: 'mamba-tiny:1a2b' };
    expect(decodeSnapshot(encodeSnapshot(named))).toEqual(named);
  });

  it('are read from anywhere in a buffer, and hold infinities, NaN and -0', () => {
    const [first, second] = single.layers;
    const odd = {
      ...single,
      layers: [
        {
          ...first!,
          conv: first!.conv
            .with(0, -0)
            .with(1, Number.NaN)
            .with(2, -1 / 0),
        },
        second!,
      ],
    };
    const file = encodeSnapshot(odd);
    const buffer = new Uint8Array(file.length + 3);
    buffer.set(file, 3);
    expect(decodeSnapshot(buffer.subarray(3))).toEqual(odd);
  });

  it('no single changed byte goes unnoticed', () => {
    const file = encodeSnapshot(single);
    for (const index of file.keys()) {
      for (const flip of [0x01, 0x80, 0xff]) {
        const damaged = file.with(index, file[index]! ^ flip);
        expect(() => decodeSnapshot(damaged), `byte ${index}`).toThrow(failure('invalid-file', 'snapshot'));
      }
    }
  });

  it('nor a file cut short or made longer, at any length', () => {
    const file = encodeSnapshot(single);
    for (const size of file.keys()) {
      expect(() => decodeSnapshot(file.subarray(0, size)), `${size} bytes`).toThrow(failure('invalid-file'));
    }
    expect(() => decodeSnapshot(new Uint8Array([...file, 0]))).toThrow(failure('invalid-file'));
  });

  it.each<[string, (header: Record<string, unknown>) => unknown]>([
    ['a later version', (header) => ({ ...header, version: 2 })],
    ['no version', ({ version: _, ...header }) => header],
    ['null', () => null],
    ['a list', () => []],
    ['another number of layers', (header) => ({ ...header, layers: 3 })],
    ['no layers', (header) => ({ ...header, layers: 0 })],
    ['an absurd number of layers', (header) => ({ ...header, layers: Number.MAX_SAFE_INTEGER })],
    ['an absurd width', (header) => ({ ...header, dInner: 2 ** 50 })],
    ['a fraction', (header) => ({ ...header, dState: 4.5 })],
    ['a word for a number', (header) => ({ ...header, dConv: '3' })],
    ['another dtype', (header) => ({ ...header, dtype: 'float64' })],
    ['an unknown dtype', (header) => ({ ...header, dtype: 'float16' })],
    ['a missing dtype', ({ dtype: _, ...header }) => header],
    ['positions of another batch', (header) => ({ ...header, positions: [17] })],
    ['negative positions', (header) => ({ ...header, positions: [17, -1] })],
    ['no positions', ({ positions: _, ...header }) => header],
  ])('a header that lies: %s', (_, edit) => {
    const file = encodeSnapshot(single);
    expect(decodeSnapshot(withHeader(file, (header) => header))).toEqual(single);
    expect(() => decodeSnapshot(withHeader(file, edit))).toThrow(failure('invalid-file'));
  });

  it('any header of any values gives a snapshot or a MambaError, nothing else', () => {
    const file = encodeSnapshot(single);
    const values = [undefined, null, 0, -1, 1, 2, 3, 4, 1e300, 'x', '', [], [1, 2], [[]], {}, true, 'float32'];
    const keys = ['version', 'batch', 'positions', 'dInner', 'dState', 'dConv', 'layers', 'dtype'];
    let refused = 0;
    for (const first of keys) {
      for (const second of keys) {
        for (const [index, value] of values.entries()) {
          const other = values[(index * 7 + 3) % values.length];
          try {
            decodeSnapshot(withHeader(file, (header) => ({ ...header, [first]: value, [second]: other })));
          } catch (error) {
            if (!isMambaError(error, 'invalid-file')) throw error;
            refused++;
          }
        }
      }
    }
    expect(refused).toBeGreaterThan(900);
  });
});
