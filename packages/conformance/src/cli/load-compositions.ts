import { MambaError } from '@mamba/core';
import type { GoldenComposition, GoldenCompositions } from '../golden/compositions/golden-composition.ts';
import { importModule, isMissing } from './import-module.ts';

/** The compositions of this repository's own package of other systems. */
const MIXERS = '@mamba/mixers/golden';

/**
 * Loads what golden files may name beside the operations of the contract: the export `goldenCompositions` of each
 * module. Without names it is that of @mamba/mixers, or nothing where that package is not installed.
 * @throws MambaError `unavailable` where a module cannot be loaded or has no such export.
 */
export async function loadCompositions(names: readonly string[]): Promise<GoldenCompositions> {
  const loaded = await Promise.all((names.length === 0 ? [MIXERS] : names).map(load));
  return Object.assign({}, ...loaded);
}

async function load(specifier: string): Promise<GoldenCompositions> {
  const refused = (given: string, cause?: unknown) =>
    new MambaError('unavailable', `the compositions of ${specifier} cannot be loaded`, {
      origin: '--compositions',
      given,
      expected: 'a module with the export goldenCompositions, an object of { required, compute }',
      cause,
    });
  let module: Readonly<Record<string, unknown>>;
  try {
    module = await importModule(specifier);
  } catch (cause) {
    if (specifier === MIXERS && isMissing(cause, '@mamba/mixers')) return {};
    throw refused(cause instanceof Error ? cause.message : String(cause), cause);
  }
  const { goldenCompositions } = module;
  if (!areCompositions(goldenCompositions)) throw refused(`exports ${Object.keys(module).join(', ') || 'of nothing'}`);
  return goldenCompositions;
}

function areCompositions(value: unknown): value is GoldenCompositions {
  if (typeof value !== 'object' || value === null) return false;
  return Object.values(value).every(
    (item: Partial<GoldenComposition> | undefined) =>
      typeof item?.compute === 'function' && Array.isArray(item.required),
  );
}
