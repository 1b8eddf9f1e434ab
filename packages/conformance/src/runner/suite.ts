import { fixtureCheckpointChecks, fixtureGoldenChecks, fixtureWeightsChecks } from '../golden/fixtures.ts';
import { invariantChecks } from '../invariants/index.ts';
import { type PropertyOptions, propertyChecks } from '../properties/properties.ts';
import { suiteCases } from '../suite/index.ts';
import type { Check } from './check.ts';
import { caseCheck } from './check-case.ts';

/** Parts of the suite. */
export type Section = 'cases' | 'invariants' | 'properties' | 'golden' | 'checkpoints' | 'weights';
export const SECTIONS: readonly Section[] = ['cases', 'invariants', 'properties', 'golden', 'checkpoints', 'weights'];

export interface SuiteOptions {
  /** Default: all. */
  readonly scope?: readonly Section[] | undefined;
  /** Folder of the fixtures, where they are not beside this package's code: an address that the test server serves. */
  readonly fixtures?: URL | undefined;
  /** Seed and number of the random draws. */
  readonly properties?: PropertyOptions | undefined;
}

/** Every check of the suite, with the fixtures that ship with it. */
export async function suite({ scope = SECTIONS, fixtures, properties }: SuiteOptions = {}): Promise<readonly Check[]> {
  const checks: Check[] = [];
  if (scope.includes('cases')) checks.push(...suiteCases().map(caseCheck));
  if (scope.includes('invariants')) checks.push(...invariantChecks());
  if (scope.includes('properties')) checks.push(...propertyChecks(properties));
  if (scope.includes('golden')) checks.push(...(await fixtureGoldenChecks(fixtures)));
  if (scope.includes('checkpoints')) checks.push(...fixtureCheckpointChecks(fixtures));
  if (scope.includes('weights')) checks.push(...fixtureWeightsChecks(fixtures));
  return checks;
}
