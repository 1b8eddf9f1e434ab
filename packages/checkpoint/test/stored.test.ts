/** Parameters that are not a single tensor: parts of a tensor, several tensors, shared tensors, other stored forms. */
import type { HostTensor, ParameterSource, ParameterSpec } from '@mamba/core';
import { describe, expect, it } from 'vitest';
import type { Stored, StoredPart } from '../src/families/family.ts';
import { byTable } from '../src/families/table.ts';
import { bytesSource, openSafetensors, parseConfig, type RawTensor, writeSafetensors } from '../src/index.ts';
import { planTensors, valueReader } from '../src/stored/plan.ts';
import { readStored, storedRows } from '../src/stored/read.ts';
import { expectError } from './helpers.ts';

const spec = (name: string, ...shape: number[]): ParameterSpec => ({
  ...{ name, key: `block.${name}`, layer: 0, kind: 'mlp', shape },
  role: shape.length === 2 ? 'matrix' : 'vector',
});

const part = (tensor: string, shape: readonly number[], first = 0, count = shape[0]!): StoredPart => ({
  ...{ tensor, shape, first, count },
});

const f32 = (shape: readonly number[], ...values: number[]): RawTensor => ({
  ...{ dtype: 'F32', shape, bytes: new Uint8Array(Float32Array.from(values).buffer) },
});

const f64 = (shape: readonly number[], ...values: number[]): RawTensor => ({
  ...{ dtype: 'F64', shape, bytes: new Uint8Array(Float64Array.from(values).buffer) },
});

const file = (tensors: Readonly<Record<string, RawTensor>>) =>
  openSafetensors(bytesSource(writeSafetensors(Object.entries(tensors)), 'small'));

const numbers = ({ data }: HostTensor): number[] => Array.from(data);

const DOUBLED: Stored['codec'] = { decode: (value) => 2 * value, encode: (value) => value / 2 };

describe('parameters in tensors', () => {
  it('are cut out of one that holds several', async () => {
    const small = await file({
      matrix: f32([3, 2], 1, 2, 3, 4, 5, 6),
      vector: f32([4], 1, 2, 3, 4),
      conv: f32([3, 1, 2], 1, 2, 3, 4, 5, 6),
    });
    const rows = { parts: [part('matrix', [3, 2], 1, 2)] };
    expect(numbers(await readStored(small, spec('x', 2, 2), rows))).toEqual([3, 4, 5, 6]);
    const some = await storedRows(small, spec('x', 2, 2), rows)!.rows(1, 1);
    expect(numbers(some)).toEqual([5, 6]);
    const elements = { parts: [part('vector', [4], 2, 2)] };
    expect(numbers(await readStored(small, spec('x', 2), elements))).toEqual([3, 4]);
    const taps = { parts: [part('conv', [3, 1, 2], 1, 1)] };
    expect(await readStored(small, spec('x', 1, 2), taps)).toMatchObject({ shape: [1, 2] });
    expect(storedRows(small, spec('x', 1, 2), taps)).toBeUndefined();
  });

  it('are put together of several, and decoded', async () => {
    const small = await file({ a: f32([2, 2], 1, 2, 3, 4), b: f32([1, 2], 5, 6), c: f32([2, 2], 7, 8, 9, 10) });
    const parts = [part('a', [2, 2]), part('b', [1, 2]), part('c', [2, 2], 1, 1)];
    const x = spec('x', 4, 2);
    expect(await readStored(small, x, { parts })).toMatchObject({ dtype: 'float32', shape: [4, 2] });
    expect(numbers(await readStored(small, x, { parts }))).toEqual([1, 2, 3, 4, 5, 6, 9, 10]);
    const stored = { parts, codec: DOUBLED };
    const rows = storedRows(small, x, stored)!;
    expect(rows).toMatchObject({ dtype: 'float64', shape: [4, 2] });
    for (let first = 0; first < 4; first++)
      for (let count = 1; first + count <= 4; count++) {
        const piece = await rows.rows(first, count);
        expect(piece.shape).toEqual([count, 2]);
        const whole = numbers(await readStored(small, x, stored));
        expect(numbers(piece)).toEqual(whole.slice(2 * first, 2 * (first + count)));
      }
    await expectError(
      Promise.resolve().then(() => rows.rows(3, 2)),
      'invalid-argument',
      'rows within 4',
    );
  });

  it('are as bigintAsText as the widest of their tensors', async () => {
    const small = await file({ a: f32([1, 2], 1, 2), b: f64([1, 2], 0.1, 0.2) });
    const stored = { parts: [part('a', [1, 2]), part('b', [1, 2])] };
    expect(storedRows(small, spec('x', 2, 2), stored)).toBeUndefined();
    const whole = await readStored(small, spec('x', 2, 2), stored);
    expect(whole.dtype).toBe('float64');
    expect(numbers(whole)).toEqual([1, 2, 0.1, 0.2]);
  });

  it('are refused by what a family knows of their values', async () => {
    const small = await file({ a: f32([2, 1], 1, 2) });
    const check = (origin: string): void => {
      throw new RangeError(origin);
    };
    const stored = { parts: [part('a', [2, 1])], check };
    await expect(readStored(small, spec('x', 2, 1), stored)).rejects.toThrow('small: tensor "a"');
    await expect(storedRows(small, spec('x', 2, 1), stored)!.rows(0, 1)).rejects.toThrow('small: tensor "a"');
  });
});

describe('tensors of parameters', () => {
  const values: ParameterSource = ({ name, shape }) => {
    const data = Float32Array.from(
      { length: shape.reduce((a, b) => a * b, 1) },
      (_, at) => at + name.charCodeAt(0) * 100,
    );
    return { dtype: 'float32', shape, data };
  };
  const turnedFirst: Stored = { parts: [{ ...part('turned', [3, 4], 0, 2), transposed: true }] };
  const layout = (stored: Readonly<Record<string, Stored>>) => (parameter: ParameterSpec) => stored[parameter.name]!;

  it('hold them in the order of their rows, each asked for once', async () => {
    const [a, b] = [spec('a', 2, 1), spec('b', 3, 1)];
    const stored = {
      a: { parts: [part('t', [4, 1], 2, 2)], codec: DOUBLED },
      b: { parts: [part('t', [4, 1], 0, 2), part('u', [1, 1])] },
    };
    const plan = planTensors([a, b], layout(stored));
    expect(plan.map(({ name, shape, parameter }) => [name, shape, parameter.name])).toEqual([
      ['t', [4, 1], 'a'],
      ['u', [1, 1], 'b'],
    ]);
    const asked: string[] = [];
    const valuesOf = valueReader(async (parameter) => {
      asked.push(parameter.name);
      return values(parameter);
    });
    const written: Record<string, number[]> = {};
    for (const tensor of plan) {
      written[tensor.name] = [];
      for await (const { host } of valuesOf(tensor)) written[tensor.name]!.push(...numbers(host));
    }
    expect(written).toEqual({ t: [9800, 9801, 4850, 4850.5], u: [9802] });
    expect(asked).toEqual(['b', 'a', 'b']);
  });

  it('hold rows in another order, and matrices transposed, as they are read', async () => {
    const [a, b] = [spec('a', 4, 1), spec('b', 2, 3)];
    const stored: Record<string, Stored> = {
      a: { parts: [{ ...part('pairs', [8, 1], 4, 4), pairs: 4 }] },
      b: { parts: [{ ...part('turned', [3, 4], 2, 2), transposed: true }] },
    };
    const small = await file({
      pairs: f32([8, 1], -1, -1, -1, -1, 0, 2, 1, 3),
      turned: f32([3, 4], -1, -1, 0, 3, -1, -1, 1, 4, -1, -1, 2, 5),
    });
    const read = async (parameter: ParameterSpec) => readStored(small, parameter, stored[parameter.name]!);
    expect(numbers(await read(a))).toEqual([0, 1, 2, 3]);
    expect(await read(b)).toMatchObject({ shape: [2, 3], data: Float32Array.of(0, 1, 2, 3, 4, 5) });
    expect(storedRows(small, b, stored.b!)).toBeUndefined();
    // Written beside others, each as it was.
    const [c, d] = [spec('c', 4, 1), spec('d', 2, 3)];
    const plan = planTensors(
      [a, b, c, d],
      layout({ ...stored, c: { parts: [part('pairs', [8, 1], 0, 4)] }, d: turnedFirst }),
    );
    const valuesOf = valueReader(async (parameter) =>
      parameter === a || parameter === b
        ? read(parameter)
        : { dtype: 'float32', shape: parameter.shape, data: new Float32Array(parameter === c ? 4 : 6).fill(-1) },
    );
    for (const tensor of plan) {
      const written: number[] = [];
      for await (const { host } of valuesOf(tensor)) written.push(...numbers(host));
      expect(written).toEqual(numbers(await small.read(tensor.name)));
    }
  });

  it('hold what layers share once', () => {
    const shared = { parts: [part('t', [2, 2])] };
    const [plan, ...others] = planTensors([spec('a', 2, 2), spec('b', 2, 2)], layout({ a: shared, b: shared }));
    expect(others).toEqual([]);
    expect(plan!.pieces.map(({ parameter }) => parameter.name)).toEqual(['a']);
  });

  it('have no rows of no parameter, and none twice', async () => {
    const make = async (...parts: StoredPart[]) =>
      planTensors(
        parts.map((_, index) => spec('abc'[index]!, 2, 1)),
        ({ name }) => ({ parts: [parts['abc'.indexOf(name)]!] }),
      );
    await expectError(make(part('t', [4, 1], 2, 2)), 'unsupported', 't', 'rows of a', 'every one of its 4 rows');
    await expectError(make(part('t', [3, 1], 0, 2), part('t', [3, 1], 1, 2)), 'unsupported', 'rows of a, b');
    await expectError(make(part('t', [5, 1], 0, 2), part('t', [5, 1], 3, 2)), 'unsupported', 'rows of a, b');
  });
});

describe('tables of tensors', () => {
  const config = parseConfig({ model_type: 'mamba', hidden_size: 8, num_hidden_layers: 1, vocab_size: 8 });

  it('may have forms of their own', () => {
    const stored = { parts: [part('qkv', [6, 1], 2, 2)] };
    const table = { model: {}, layers: { mlp: { 'block.k': () => stored } } };
    expect(byTable(table, config)(spec('k', 2, 1))).toBe(stored);
  });

  it('name what they lack', () => {
    const table = { model: {}, layers: { mamba: {} } };
    expect(() => byTable(table, config)(spec('k', 2, 1))).toThrow('block.k of a mlp block');
  });
});
