/** Matrices in smaller types: their values are as near as the type allows, and results are those of what is stored. */
import type { DType, HostArray, Tensor } from '@mamba/core';
import { floats, integers, normals } from '../cases/host.ts';
import { deriveSeed, Random } from '../random.ts';
import type { Check, Skipped } from '../runner/check.ts';
import type { Findings } from '../runner/report.ts';
import { type Arena, withArena } from './arena.ts';
import { invariant } from './invariant.ts';

/** Extents that are multiples of no block or vector; a row has several sections of any layout. */
const [OUTPUTS, INPUTS] = [37, 331];
const BLOCK = 32;

/** The largest distance of a stored weight from the given one, relative to the largest in its block. */
const DISTANCES: readonly (readonly [DType, number])[] = [
  ['float16', 2 ** -11],
  ['bfloat16', 2 ** -8],
  // Half a step of 127, where a scale may be rounded up by 1/128 of it.
  ['q8', (0.5 / 127) * (1 + 1 / 128)],
  // Seven steps above zero and eight below, so that the largest value of the other sign loses up to a whole one.
  ['q4', (1 / 8) * (1 + 1 / 128)],
];

/** The bound of products, relative to the largest: a backend may meet quantised weights with x in 16 bits. */
const PRODUCTS = 5e-5;

export function storedMatrixLaws(): readonly Check[] {
  return DISTANCES.map(([dtype, distance]) =>
    invariant(`stored-matrices/${dtype}`, (findings, { backend, reference }) =>
      withArena(backend, (arena) =>
        withArena(reference, (other) => asStored(findings, arena, other, { dtype, distance })),
      ),
    ),
  );
}

async function asStored(
  findings: Findings,
  arena: Arena,
  other: Arena,
  { dtype, distance }: { readonly dtype: DType; readonly distance: number },
): Promise<Skipped | undefined> {
  const { backend } = arena;
  const options = { dtype, role: 'matrix' } as const;
  const shape = [OUTPUTS, INPUTS];
  const support = backend.supportsUpload({ dtype: 'float32', shape }, options);
  if (!support.supported) return { skipped: support.reason };
  const random = new Random(deriveSeed(1, 'stored-matrices'));
  const drawn = normals(random, shape);
  // Blocks of very different sizes, so that a wrong scale or place shows.
  const given = floats(shape, (i) => drawn.data[i]! * 4 ** (Math.floor((i % INPUTS) / BLOCK) - 5));
  const matrix = arena.own(backend.upload(given, options));
  const stored = await backend.read(matrix);
  findings.within('distance in its block', farthest(given.data, stored), distance);
  const ids = [OUTPUTS - 1, 0, 15];
  const rows = arena.own(backend.embedding(matrix, arena.upload(integers([ids.length], (i) => ids[i]!))));
  const expected = ids.flatMap((id) => [...stored.subarray(id * INPUTS, (id + 1) * INPUTS)]);
  findings.identical('gathered rows', await backend.read(rows), Float32Array.from(expected));
  const exact = other.upload(floats(shape, (i) => stored[i]!));
  for (const count of [1, 2, 3, 4, 7, 11]) {
    const x = normals(random, [count, INPUTS]);
    const product = (of: Arena, weight: Tensor): Promise<HostArray> =>
      of.read(of.own(of.backend.linear(of.upload(x), weight)));
    findings.close(`products of ${count}`, await product(arena, matrix), await product(other, exact), PRODUCTS);
  }
  return undefined;
}

/** The largest distance of a value from its stored one, relative to the largest of its block. */
function farthest(given: ArrayLike<number>, stored: ArrayLike<number>): number {
  let worst = 0;
  for (let row = 0; row < OUTPUTS; row++) {
    for (let begin = 0; begin < INPUTS; begin += BLOCK) {
      let [largest, distance] = [0, 0];
      for (let i = row * INPUTS + begin; i < row * INPUTS + Math.min(begin + BLOCK, INPUTS); i++) {
        largest = Math.max(largest, Math.abs(given[i]!));
        distance = Math.max(distance, Math.abs(stored[i]! - given[i]!));
      }
      worst = Math.max(worst, distance / largest);
    }
  }
  return worst;
}
