import { MambaError } from '@mamba/core';
import type { ShapeChoice, Suite } from '../cases/contract.ts';
import { SUITES } from '../cases/index.ts';
import type { FoundBackend } from '../machine/backends.ts';

/** The option of each shape. */
const FLAGS: Readonly<Record<keyof ShapeChoice, string>> = {
  length: '--length',
  batch: '--batch',
  state: '--state',
  models: '--model',
  dtypes: '--dtype',
};

/** The suites whose shapes an option chooses, for help: `scan, conv and train`. */
export function suitesThatTake(shape: keyof ShapeChoice): string {
  const names = SUITES.filter(({ takes = [] }) => takes.includes(shape)).map(({ name }) => name);
  return names.join(', ').replace(/, ([^,]*)$/, ' and $1');
}

/**
 * Refuses shapes that nothing of a run would heed.
 * @param peers Whether other projects are measured, which take dtypes.
 * @throws MambaError `invalid-argument`
 */
export function checkShapes(suites: readonly Suite[], shapes: ShapeChoice, peers: boolean): void {
  for (const [shape, values] of Object.entries(shapes) as [keyof ShapeChoice, readonly unknown[] | undefined][]) {
    if (values === undefined || values.length === 0) continue;
    if (suites.some(({ takes = [] }) => takes.includes(shape)) || (peers && shape === 'dtypes')) continue;
    throw new MambaError('invalid-argument', `nothing here takes ${FLAGS[shape]}`, {
      origin: FLAGS[shape],
      given: `--suite ${suites.map(({ name }) => name).join(' ')}`,
      expected: `one of ${suitesThatTake(shape)} with it`,
    });
  }
}

/** Refuses shapes where all backends are too slow for any but their own. @throws MambaError `invalid-argument` */
export function checkShapesFit(shapes: ShapeChoice, backends: readonly FoundBackend[]): void {
  const ready = backends.filter(({ record }) => record.status === 'ready');
  if (ready.length === 0 || ready.some(({ record }) => record.slow === undefined)) return;
  const given = Object.entries(shapes) as [keyof ShapeChoice, readonly unknown[] | undefined][];
  const chosen = given.find(([, values]) => values !== undefined && values.length > 0)?.[0];
  if (chosen === undefined) return;
  throw new MambaError('invalid-argument', `${FLAGS[chosen]} is for backends that can take it`, {
    origin: FLAGS[chosen],
    given: ready.map(({ record }) => record.name).join(', '),
    expected: 'a faster backend with it',
    remedy: 'The reference, and WebGPU in software, keep to small shapes of their own.',
  });
}
