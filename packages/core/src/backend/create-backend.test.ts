import { beforeEach, describe, expect, it } from 'vitest';
import { type Block, FakeDriver, failure, fakeBackend } from '../../test/fake-driver.ts';
import type { Backend } from '../contract/backend.ts';
import { supported, unsupported } from '../contract/capability.ts';
import type { HostTensor, Tensor } from '../contract/tensor.ts';
import { createBackend } from './create-backend.ts';
import type { Driver } from './driver.ts';

let backend: Backend;
let driver: FakeDriver;
beforeEach(() => {
  ({ backend, driver } = fakeBackend());
});

function zeros(...shape: number[]): Tensor {
  const size = shape.reduce((product, extent) => product * extent, 1);
  return backend.upload({ dtype: 'float32', shape, data: new Float32Array(size) });
}

describe('upload', () => {
  const data = new Float32Array(6);
  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['a bare array', data],
    ['an unknown dtype', { dtype: 'int8', shape: [6], data }],
    ['a dtype of the device only', { dtype: 'q8', shape: [6], data }],
    ['another array than the dtype says', { dtype: 'float64', shape: [6], data }],
    ['a plain array', { dtype: 'float32', shape: [2], data: [1, 2] }],
    ['too few values', { dtype: 'float32', shape: [7], data }],
    ['too many values', { dtype: 'float32', shape: [5], data }],
    ['a negative extent', { dtype: 'float32', shape: [-2, -3], data }],
    ['an extent of zero', { dtype: 'float32', shape: [0], data: new Float32Array() }],
    ['a fraction', { dtype: 'float32', shape: [1.5, 4], data }],
    ['NaN as an extent', { dtype: 'float32', shape: [Number.NaN], data }],
    ['an absurd size', { dtype: 'float32', shape: [2 ** 30, 2 ** 30], data }],
    ['a shape that is a number', { dtype: 'float32', shape: 6, data }],
  ])('refuses %s', (_, host) => {
    expect(() => backend.upload(host as HostTensor)).toThrow(failure('invalid-argument'));
    expect(driver.ran).toEqual([]);
  });

  it.each<[string, object]>([
    ['an unknown option', { dType: 'float32' }],
    ['an unknown role', { role: 'vector' }],
    ['floats stored as integers', { dtype: 'int32' }],
    ['an unknown dtype', { dtype: 'int8' }],
  ])('refuses %s', (_, options) => {
    expect(() => backend.upload({ dtype: 'float32', shape: [6], data }, options)).toThrow(failure('invalid-argument'));
  });

  it('refuses integers stored as floats', () => {
    const host = { dtype: 'int32', shape: [1], data: Int32Array.of(1) } as const;
    expect(() => backend.upload(host, { dtype: 'float32' })).toThrow(failure('invalid-argument'));
  });

  it('knows the range of integers, and the shape cannot be changed', () => {
    const shape = [4];
    const ids = backend.upload({ dtype: 'int32', shape, data: Int32Array.of(3, -7, 12, 0) });
    expect(ids.range).toEqual({ min: -7, max: 12 });
    shape[0] = 99;
    expect(ids.shape).toEqual([4]);
    expect(() => (ids.shape as number[]).push(1)).toThrow(TypeError);
  });

  it('a dtype that the driver does not store is unsupported, with the reason', () => {
    const host = { dtype: 'float32', shape: [6], data } as const;
    expect(backend.supportsUpload(host, { dtype: 'q8' })).toEqual(unsupported('fake stores float32, not q8'));
    expect(backend.supportsUpload(host)).toEqual(supported);
    expect(() => backend.upload(host, { dtype: 'q8' })).toThrow(failure('unsupported', 'upload'));
  });
});

describe('handles', () => {
  it('are counted at their most while peakBytes watches, also where it throws and within itself', () => {
    const { backend } = fakeBackend();
    const held = backend.upload({ dtype: 'float32', shape: [1], data: new Float32Array(1) });
    const both = (): void => {
      for (const tensor of [backend.add(held, held), backend.add(held, held)]) tensor.dispose();
    };
    // The fake counts a byte for each tensor.
    expect(backend.peakBytes(() => {})).toBe(1);
    expect(backend.peakBytes(both)).toBe(3);
    expect(
      backend.peakBytes(() => {
        const kept = backend.add(held, held);
        expect(backend.peakBytes(both)).toBe(4);
        kept.dispose();
        expect(backend.peakBytes(() => {})).toBe(1);
      }),
    ).toBe(4);
    expect(() =>
      backend.peakBytes(() => {
        both();
        throw new Error('planted');
      }),
    ).toThrow('planted');
    expect(backend.peakBytes(() => {})).toBe(1);
  });

  it('free their memory once', () => {
    const a = zeros(2);
    const sum = backend.add(a, a);
    expect(backend.memory()).toEqual({ tensors: 2, bytes: 2, reserved: 2 });
    sum.dispose();
    sum.dispose();
    expect(sum.disposed).toBe(true);
    expect(a.disposed).toBe(false);
    expect(backend.memory().tensors).toBe(1);
  });

  it('are refused after dispose, wherever they stand in a call', async () => {
    const [live, dead] = [zeros(2, 2), zeros(2, 2)];
    dead.dispose();
    expect(() => backend.add(live, dead)).toThrow(failure('disposed', 'add.b'));
    expect(() => backend.concat([live, dead], 0)).toThrow(failure('disposed', 'concat.tensors[1]'));
    expect(() => backend.rmsNorm(live, { weight: dead })).toThrow(failure('invalid-argument', 'rmsNorm.weight'));
    expect(() => backend.linear(live, live, dead)).toThrow(failure('invalid-argument', 'linear.bias'));
    await expect(backend.read(dead)).rejects.toThrow(failure('disposed', 'read'));
    expect(driver.ran).toEqual(['upload', 'upload']);
  });

  it('of another backend are foreign, as are look-alikes', async () => {
    const ours = zeros(2);
    const theirs = fakeBackend('other').backend.upload({ dtype: 'float32', shape: [2], data: new Float32Array(2) });
    expect(() => backend.add(ours, theirs)).toThrow(failure('foreign', 'add.b'));
    await expect(backend.read(theirs)).rejects.toThrow(failure('foreign', 'read'));
    const forged = { shape: [2], dtype: 'float32', disposed: false, dispose() {} } as Tensor;
    expect(() => backend.add(ours, forged)).toThrow(failure('foreign', 'add.b'));
    expect(backend.memory().tensors).toBe(1);
  });

  it('a kernel that throws makes no handles', () => {
    const a = zeros(2);
    driver.failAfter = 0;
    expect(() => backend.add(a, a)).toThrow(failure('out-of-memory'));
    expect(backend.memory().tensors).toBe(1);
    expect(a.disposed).toBe(false);
  });
});

describe('supports', () => {
  const spec = (...shape: number[]) => ({ shape, dtype: 'float32' }) as const;

  it('asks about a concrete call without running it', () => {
    expect(backend.supports('linear', spec(3, 4), spec(5, 4))).toEqual(supported);
    expect(driver.ran).toEqual([]);
  });

  it('throws for what no backend could take', () => {
    expect(() => backend.supports('linear', spec(3, 4), spec(5, 5))).toThrow(
      failure('invalid-argument', 'linear.weight'),
    );
    for (const extent of [-3, 0, 1.5, Number.NaN, 2 ** 50])
      expect(() => backend.supports('rmsNorm', spec(extent, 4))).toThrow(failure('invalid-argument', 'rmsNorm.x'));
    expect(() => backend.supports('softmax' as 'linear', spec(3, 4), spec(5, 4))).toThrow(failure('invalid-argument'));
  });

  it('says what is missing: a kernel, or a dtype', () => {
    const conv = [spec(1, 2, 3), spec(3, 4), undefined, {}, { y: spec(1, 2, 3) }] as const;
    expect(backend.supports('causalConv1dBackward', ...conv)).toEqual(unsupported('fake has no causalConv1dBackward'));
    const half = { shape: [5, 4], dtype: 'float16' } as const;
    expect(backend.supports('linear', spec(3, 4), half)).toEqual(
      unsupported('fake takes float32, linear.weight is float16'),
    );
  });

  it("the driver's answer decides, and the operation is refused with its reason", () => {
    class Picky extends FakeDriver implements Driver<Block> {
      supports() {
        return unsupported('not today');
      }
    }
    const picky = createBackend(new Picky('picky'));
    const a = picky.upload({ dtype: 'float32', shape: [1], data: new Float32Array(1) });
    expect(picky.supports('add', a, a)).toEqual(unsupported('not today'));
    expect(() => picky.add(a, a)).toThrow(failure('unsupported', 'add'));
    expect(() => picky.add(a, a)).toThrow(/not today/);
  });
});

describe('dispose', () => {
  it('frees every tensor, then the driver, once; afterwards nothing works', async () => {
    const [a, b] = [zeros(2), zeros(2)];
    b.dispose();
    const first = backend.dispose();
    expect(backend.dispose()).toBe(first);
    await first;
    expect(driver.live.size).toBe(0);
    expect(driver.ran.filter((name) => name === 'dispose')).toHaveLength(1);
    expect(a.disposed).toBe(true);
    a.dispose();
    expect(backend.memory()).toEqual({ tensors: 0, bytes: 0, reserved: 0 });
    expect(() => backend.add(a, a)).toThrow(failure('disposed', 'fake'));
    expect(() => zeros(1)).toThrow(failure('disposed', 'fake'));
    expect(() => backend.supports('add', a, a)).toThrow(failure('disposed'));
    await expect(backend.read(a)).rejects.toThrow(failure('disposed'));
    await expect(backend.synchronize()).rejects.toThrow(failure('disposed'));
  });
});
