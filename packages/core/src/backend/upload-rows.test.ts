import { beforeEach, describe, expect, it } from 'vitest';
import { type FakeDriver, failure, fakeBackend } from '../../test/fake-driver.ts';
import type { Backend } from '../contract/backend.ts';
import type { HostRows, HostTensor } from '../contract/tensor.ts';

let backend: Backend;
let driver: FakeDriver;
let asked: [number, number][];
beforeEach(() => {
  ({ backend, driver } = fakeBackend());
  asked = [];
});

const zeros = (...shape: [number, number]): HostTensor => ({
  dtype: 'float32',
  shape,
  data: new Float32Array(shape[0] * shape[1]),
});

/** A matrix of seven rows and three columns. `last` makes the piece that holds the last row. */
function seven(last: (count: number) => HostTensor | Promise<HostTensor> = (count) => zeros(count, 3)): HostRows {
  return {
    dtype: 'float32',
    shape: [7, 3],
    async rows(first, count) {
      asked.push([first, count]);
      return first + count === 7 ? last(count) : zeros(count, 3);
    },
  };
}

it('asks for every row once, in order, as many as the driver takes', async () => {
  driver.rowsAtOnce = 3;
  const tensor = await backend.uploadRows(seven());
  expect(asked).toEqual([
    [0, 3],
    [3, 3],
    [6, 1],
  ]);
  expect(driver.ran).toEqual(['uploadRows', 'write 3', 'write 3', 'write 1']);
  expect(tensor).toMatchObject({ shape: [7, 3], dtype: 'float32', disposed: false });
  expect(backend.memory()).toEqual({ tensors: 1, bytes: 1, reserved: 1 });
  tensor.dispose();
  expect(driver.live.size).toBe(0);
});

it('reads all of it where the driver takes no rows', async () => {
  const tensor = await backend.uploadRows(seven());
  expect(asked).toEqual([[0, 7]]);
  expect(driver.ran).toEqual(['upload']);
  expect(tensor).toMatchObject({ shape: [7, 3], dtype: 'float32' });
});

it('lets other calls run in between, and counts what is there', async () => {
  driver.rowsAtOnce = 4;
  const a = backend.upload(zeros(1, 2));
  const bytes: number[] = [];
  const rows = seven();
  await backend.uploadRows({
    ...rows,
    rows(first, count) {
      backend.add(a, a).dispose();
      bytes.push(backend.memory().bytes);
      return rows.rows(first, count);
    },
  });
  expect(driver.ran).toEqual(['upload', 'uploadRows', 'add', 'write 4', 'add', 'write 3']);
  expect(bytes).toEqual([2, 2]);
});

it.each<[string, unknown, object?]>([
  ['nothing', undefined],
  ['a whole tensor', zeros(7, 3)],
  ['integers', { ...seven(), dtype: 'int32' }],
  ['a dtype of the device only', { ...seven(), dtype: 'q8' }],
  ['a vector', { ...seven(), shape: [21] }],
  ['three axes', { ...seven(), shape: [7, 3, 1] }],
  ['no rows', { ...seven(), shape: [0, 3] }],
  ['an unknown option', seven(), { dType: 'float32' }],
  ['no options', seven(), null as unknown as object],
])('refuses %s', async (_, rows, options) => {
  driver.rowsAtOnce = 2;
  await expect(backend.uploadRows(rows as HostRows, options)).rejects.toThrow(failure('invalid-argument'));
  expect(driver.ran).toEqual([]);
});

it('refuses what the driver does not store', async () => {
  await expect(backend.uploadRows(seven(), { dtype: 'q8' })).rejects.toThrow(failure('unsupported', 'uploadRows'));
});

describe.each([0, 2, 7])('with %i rows at once, nothing stays', (rowsAtOnce) => {
  beforeEach(() => {
    driver.rowsAtOnce = rowsAtOnce;
  });

  const nothing = () => {
    expect(driver.live.size).toBe(0);
    expect(backend.memory()).toEqual({ tensors: 0, bytes: 0, reserved: 0 });
  };

  it.each<[string, (count: number) => unknown]>([
    ['a row too many', (count) => zeros(count + 1, 3)],
    ['narrower rows', (count) => zeros(count, 2)],
    ['another dtype', (count) => ({ ...zeros(count, 3), dtype: 'float64', data: new Float64Array(count * 3) })],
    ['another array than the dtype says', (count) => ({ ...zeros(count, 3), data: new Float64Array(count * 3) })],
    ['too few values', (count) => ({ ...zeros(count, 3), data: new Float32Array(1) })],
    ['nothing', () => undefined],
  ])('of rows that are %s', async (_, last) => {
    const upload = backend.uploadRows(seven(last as () => HostTensor));
    await expect(upload).rejects.toThrow(failure('invalid-argument'));
    nothing();
  });

  it('where reading or writing fails', async () => {
    const cause = new Error('gone');
    await expect(backend.uploadRows(seven(() => Promise.reject(cause)))).rejects.toBe(cause);
    nothing();
    driver.failAfter = rowsAtOnce === 2 ? 3 : 0;
    await expect(backend.uploadRows(seven())).rejects.toThrow(failure('out-of-memory'));
    nothing();
  });

  it('where it is aborted, before or in between', async () => {
    const signal = AbortSignal.abort();
    await expect(backend.uploadRows(seven(), { signal })).rejects.toThrow(failure('aborted', 'uploadRows'));
    expect(asked).toEqual([]);
    const controller = new AbortController();
    const upload = backend.uploadRows(
      seven((count) => {
        controller.abort();
        return zeros(count, 3);
      }),
      { signal: controller.signal },
    );
    await expect(upload).rejects.toThrow(failure('aborted', 'uploadRows'));
    nothing();
  });

  it('where the backend is disposed meanwhile', async () => {
    const upload = backend.uploadRows(
      seven(async (count) => {
        await backend.dispose();
        expect(driver.live.size).toBe(0);
        return zeros(count, 3);
      }),
    );
    await expect(upload).rejects.toThrow(failure('disposed'));
    nothing();
  });
});
