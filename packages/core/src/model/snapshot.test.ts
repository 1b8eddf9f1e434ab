import { describe, expect, it } from 'vitest';
import { failure } from '../../test/fake-driver.ts';
import { isMambaError } from '../contract/errors.ts';
import {
  decodeSnapshot,
  decodeSnapshotHeader,
  encodeSnapshot,
  type StateSnapshot,
  type StateSnapshotV1,
} from './snapshot.ts';

/** A snapshot of three layers and two rows, with values that need every bit. */
function example(make: (values: number[]) => Float32Array | Float64Array): StateSnapshot {
  const values = (size: number, seed: number) =>
    make(Array.from({ length: size }, (_, i) => Math.sin(i + seed) * 10 ** (i % 7)));
  const layer = (seed: number) => ({ conv: values(2 * 3 * 2, seed), ssm: values(2 * 3 * 4, seed + 0.5) });
  const mamba = { kind: 'mamba', slots: { conv: [3, 2], ssm: [3, 4] } };
  return {
    version: 2,
    batch: 2,
    positions: [17, 2 ** 40],
    blocks: [mamba, { kind: 'mlp', slots: {} }, mamba],
    layers: [layer(1), {}, layer(2)],
  };
}
const single = example((values) => Float32Array.from(values));
const double = example((values) => Float64Array.from(values));

/** The Mamba layers of `single` in version 1. */
const version1: StateSnapshotV1 = {
  ...{ version: 1, batch: 2, positions: single.positions, dInner: 3, dState: 4, dConv: 3 },
  layers: [single.layers[0]!, single.layers[2]!],
};
const upgraded: StateSnapshot = {
  ...{ version: 2, batch: 2, positions: single.positions, layers: version1.layers },
  blocks: [single.blocks[0]!, single.blocks[2]!],
};

/** A file of version 1, as the releases before block kinds wrote it. */
function version1File(): Uint8Array {
  const file = encodeSnapshot(upgraded);
  const { positions, batch, dInner, dState, dConv } = version1;
  return withHeader(file, () => ({ version: 1, batch, positions, dInner, dState, dConv, layers: 2, dtype: 'float32' }));
}

/** The file with its header replaced, and with the checksum (FNV-1a) that belongs to it. */
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
    const { layers, ...header } = named;
    expect(decodeSnapshotHeader(encodeSnapshot(named))).toEqual(header);
  });

  it('are read from anywhere in a buffer, and hold infinities, NaN and -0', () => {
    const [first, ...others] = single.layers;
    const odd = {
      ...single,
      layers: [
        {
          ...first!,
          conv: first!
            .conv!.with(0, -0)
            .with(1, Number.NaN)
            .with(2, -1 / 0),
        },
        ...others,
      ],
    };
    const file = encodeSnapshot(odd);
    const buffer = new Uint8Array(file.length + 3);
    buffer.set(file, 3);
    expect(decodeSnapshot(buffer.subarray(3))).toEqual(odd);
  });

  it('of version 1 are read as ones of this version', () => {
    expect(decodeSnapshot(version1File())).toEqual(upgraded);
    expect(decodeSnapshot(encodeSnapshot(version1))).toEqual(upgraded);
  });

  it('a file that is none, or not whole, is answered with what to do', () => {
    const file = encodeSnapshot(single);
    expect(() => decodeSnapshot(new Uint8Array(40))).toThrow('Give a file that a state or a session was saved as');
    expect(() => decodeSnapshot(file.subarray(0, -1))).toThrow('save the state again, or take another copy');
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

  const lies: readonly (readonly [string, (header: Record<string, unknown>) => unknown])[] = [
    ['a later version', (header) => ({ ...header, version: 3 })],
    ['the other version', (header) => ({ ...header, version: header.version === 1 ? 2 : 1 })],
    ['no version', ({ version: _, ...header }) => header],
    ['null', () => null],
    ['a list', () => []],
    ['another dtype', (header) => ({ ...header, dtype: 'float64' })],
    ['an unknown dtype', (header) => ({ ...header, dtype: 'float16' })],
    ['a missing dtype', ({ dtype: _, ...header }) => header],
    ['an absurd batch', (header) => ({ ...header, batch: 2 ** 50 })],
    ['positions of another batch', (header) => ({ ...header, positions: [17] })],
    ['negative positions', (header) => ({ ...header, positions: [17, -1] })],
    ['no positions', ({ positions: _, ...header }) => header],
  ];
  it.each([
    ...lies,
    ['fewer blocks', (header) => ({ ...header, blocks: [single.blocks[0]] })],
    ['no blocks', (header) => ({ ...header, blocks: [] })],
    ['a number of blocks', (header) => ({ ...header, blocks: 3 })],
    ['blocks of nothing', (header) => ({ ...header, blocks: [null, null, null] })],
    ['a slot without extents', (header) => ({ ...header, blocks: [{ kind: 'mamba', slots: { conv: 3 } }] })],
    ['an absurd extent', (header) => ({ ...header, blocks: [{ kind: 'mamba', slots: { conv: [2 ** 52, 2 ** 52] } }] })],
    ['a fraction', (header) => ({ ...header, blocks: [{ kind: 'mamba', slots: { conv: [4.5] } }] })],
    ['a word for a number', (header) => ({ ...header, blocks: [{ kind: 'mamba', slots: { conv: ['72'] } }] })],
  ] as typeof lies)('a header that lies: %s', (_, edit) => {
    const file = encodeSnapshot(single);
    expect(decodeSnapshot(withHeader(file, (header) => header))).toEqual(single);
    expect(() => decodeSnapshot(withHeader(file, edit))).toThrow(failure('invalid-file'));
  });

  it.each([
    ...lies,
    ['another number of layers', (header) => ({ ...header, layers: 3 })],
    ['no layers', (header) => ({ ...header, layers: 0 })],
    ['an absurd number of layers', (header) => ({ ...header, layers: Number.MAX_SAFE_INTEGER })],
    ['an absurd width', (header) => ({ ...header, dInner: 2 ** 50 })],
    ['a fraction', (header) => ({ ...header, dState: 4.5 })],
    ['a word for a number', (header) => ({ ...header, dConv: '3' })],
  ] as typeof lies)('a header of version 1 that lies: %s', (_, edit) => {
    expect(() => decodeSnapshot(withHeader(version1File(), edit))).toThrow(failure('invalid-file'));
  });

  it.each([
    ['version 2', () => encodeSnapshot(single)],
    ['version 1', version1File],
  ])('any header of any values gives a snapshot or a MambaError, nothing else: %s', (_, make) => {
    const file = make();
    const values = [undefined, null, 0, -1, 1, 2, 3, 4, 1e300, 'x', '', [], [1, 2], [[]], {}, true, 'float32'];
    const keys = ['version', 'batch', 'positions', 'dInner', 'dState', 'dConv', 'layers', 'blocks', 'dtype'];
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
    expect(refused).toBeGreaterThan(700);
  });
});
