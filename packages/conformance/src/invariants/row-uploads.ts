/** `uploadRows` gives the same matrix as `upload`, and frees everything if it fails. */
import { type DType, type HostRows, type HostTensor, MambaError, sizeOf } from '@mamba/core';
import { floats } from '../cases/host.ts';
import { deriveSeed, Random } from '../random.ts';
import type { Check, Skipped } from '../runner/check.ts';
import type { Findings } from '../runner/report.ts';
import { type Arena, withArena } from './arena.ts';
import { refused } from './bad-input.ts';
import { invariant } from './invariant.ts';

const DTYPES: readonly DType[] = ['float32', 'float64', 'float16', 'bfloat16', 'q8', 'q4'];
/**
 * A shape of some MiB, since backends take small matrices in one piece. Neither extent is a multiple of a block or a
 * vector.
 */
const SHAPE = [37, 32_801] as const;
const [ROWS, COLUMNS] = SHAPE;

export function rowUploadLaws(): readonly Check[] {
  return [
    ...DTYPES.map((dtype) =>
      invariant(`upload-rows/${dtype}`, (findings, { backend }) =>
        withArena(backend, (arena) => sameAsWhole(findings, arena, dtype)),
      ),
    ),
    invariant('upload-rows/failed-upload-frees', (findings, { backend }) =>
      withArena(backend, (arena) => failed(findings, arena)),
    ),
  ];
}

async function sameAsWhole(findings: Findings, arena: Arena, dtype: DType): Promise<Skipped | undefined> {
  const { backend } = arena;
  const options = { dtype, role: 'matrix' } as const;
  const support = backend.supportsUpload({ dtype: 'float32', shape: SHAPE }, options);
  if (!support.supported) return { skipped: support.reason };
  hosts ??= makeHosts();
  const ones = arena.upload(floats([1000], () => 1));
  for (const [name, host] of Object.entries(hosts)) {
    const empty = backend.memory().bytes;
    const whole = backend.upload(host, options);
    const bytes = backend.memory().bytes - empty;
    const want = await backend.read(whole);
    whole.dispose();
    const rows = await backend.uploadRows(
      {
        ...inRows(host),
        // Other work between two pieces allocates memory, which must not overlap the rows.
        async rows(first, count) {
          arena.own(backend.add(ones, ones));
          return rowsOf(host, first, count);
        },
      },
      options,
    );
    findings.identical(name, await backend.read(rows), want);
    const held = backend.memory().bytes;
    rows.dispose();
    findings.equal(`${name}: bytes`, held - backend.memory().bytes, bytes);
  }
  return undefined;
}

/** The matrices in each dtype, made once since they have some MiB. */
let hosts: Readonly<Record<string, HostTensor>> | undefined;

function makeHosts(): Readonly<Record<string, HostTensor>> {
  const random = new Random(deriveSeed(1, 'upload-rows'));
  const shape = SHAPE;
  const size = sizeOf(shape);
  const data = new Float32Array(size);
  random.fillUniform(data, -2, 2);
  const infinite = data.slice();
  infinite[size - 1] = 1e6;
  // Without the upper bit of the exponent, float16 and bfloat16 are finite and below 2.
  const bits = new Uint16Array(size).map(() => random.bits() & 0xbfff);
  return {
    float32: { dtype: 'float32', shape, data },
    'beyond float16 at the end': { dtype: 'float32', shape, data: infinite },
    float64: { dtype: 'float64', shape, data: new Float64Array(data).map((value) => value / 3) },
    float16: { dtype: 'float16', shape, data: bits },
    bfloat16: { dtype: 'bfloat16', shape, data: bits },
  };
}

async function failed(findings: Findings, { backend }: Arena): Promise<void> {
  const host = { dtype: 'float32', shape: SHAPE, data: new Float32Array(ROWS * COLUMNS) } as const;
  const good = inRows(host);
  /** A matrix whose last piece is wrong. A backend that takes the matrix in one piece sees it at once. */
  const endingIn = (spoil: (rows: HostTensor) => HostTensor): HostRows => ({
    ...good,
    async rows(first, count) {
      const rows = rowsOf(host, first, count);
      return first + count < ROWS ? rows : spoil(rows);
    },
  });
  const fail = new MambaError('io', 'made to fail');
  const controller = new AbortController();
  const attempts = [
    ['io', endingIn(() => Promise.reject(fail) as never)],
    [
      'invalid-argument',
      endingIn((rows) => ({ ...rows, dtype: 'float64', data: Float64Array.from(rows.data) }) as HostTensor),
    ],
    ['invalid-argument', endingIn(({ shape: [count] }) => floats([count! + 1, COLUMNS], () => 0))],
    ['invalid-argument', endingIn((rows) => ({ ...rows, data: rows.data.subarray(1) }) as HostTensor)],
    ['invalid-argument', { ...good, shape: [ROWS, COLUMNS, 1] }],
    ['invalid-argument', { ...good, dtype: 'int32' as 'float32' }],
    [
      'aborted',
      endingIn((rows) => {
        controller.abort();
        return rows;
      }),
    ],
  ] as const;
  for (const [code, rows] of attempts)
    await refused(
      findings,
      code,
      () => backend.uploadRows(rows, { signal: controller.signal, role: 'matrix' }),
      backend,
    );
}

function inRows(host: HostTensor): HostRows {
  return {
    dtype: host.dtype as HostRows['dtype'],
    shape: host.shape,
    rows: (first, count) => rowsOf(host, first, count),
  };
}

function rowsOf(host: HostTensor, first: number, count: number): HostTensor {
  const data = host.data.subarray(first * COLUMNS, (first + count) * COLUMNS);
  return { ...host, shape: [count, COLUMNS], data } as HostTensor;
}
