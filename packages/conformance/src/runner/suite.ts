import {
  fixtureCheckpointChecks,
  fixtureGoldenChecks,
  fixtureWeightsChecks,
  haveFixtures,
  withoutFixtures,
} from '../golden/fixtures.ts';
import { invariantChecks } from '../invariants/index.ts';
import { type KindOptions, kindChecks } from '../invariants/kind.ts';
import { type PropertyOptions, propertyChecks } from '../properties/properties.ts';
import { suiteCases } from '../suite/index.ts';
import type { Check } from './check.ts';
import { caseCheck } from './check-case.ts';

/** A part of the suite. */
export type Section = 'cases' | 'invariants' | 'properties' | 'golden' | 'checkpoints' | 'weights';
/** All parts of the suite. */
export const SECTIONS: readonly Section[] = ['cases', 'invariants', 'properties', 'golden', 'checkpoints', 'weights'];

/** Which parts of the suite to make, and of what. */
export interface SuiteOptions {
  /** The parts to run. Default: all. */
  readonly scope?: readonly Section[] | undefined;
  /**
   * The folder of the fixtures, if it is not beside this package's code as in the repository:
   * `packages/conformance/fixtures/` of a clone, or its address on a test server. Without fixtures, the sections that
   * need them are skipped.
   */
  readonly fixtures?: URL | undefined;
  /** Your own kinds of blocks. Their cases and laws run whatever the scope is. Default: none. */
  readonly kinds?: readonly KindOptions[] | undefined;
  /** The seed and the number of the random draws. */
  readonly properties?: PropertyOptions | undefined;
}

const GOLDEN: readonly Section[] = ['golden', 'checkpoints', 'weights'];

/** The checks of the suite, including those of the fixtures. */
export async function suite(options: SuiteOptions = {}): Promise<readonly Check[]> {
  const { scope = SECTIONS, fixtures, kinds = [], properties } = options;
  const checks: Check[] = kinds.flatMap((kind) => kindChecks(kind));
  if (scope.includes('cases')) checks.push(...suiteCases().map(caseCheck));
  if (scope.includes('invariants')) checks.push(...invariantChecks());
  if (scope.includes('properties')) checks.push(...propertyChecks(properties));
  const golden = GOLDEN.filter((section) => scope.includes(section));
  if (golden.length > 0 && fixtures === undefined && !(await haveFixtures()))
    return [...checks, ...golden.map(withoutFixtures)];
  if (scope.includes('golden')) checks.push(...(await fixtureGoldenChecks(fixtures)));
  if (scope.includes('checkpoints')) checks.push(...fixtureCheckpointChecks(fixtures));
  if (scope.includes('weights')) checks.push(...fixtureWeightsChecks(fixtures));
  return checks;
}
