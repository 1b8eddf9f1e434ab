import { suiteCases } from '../suite/index.ts';
import type { Check } from './check.ts';
import { caseCheck } from './check-case.ts';

/** Parts of the suite. */
export type Section = 'cases';
export const SECTIONS: readonly Section[] = ['cases'];

export interface SuiteOptions {
  /** Default: all. */
  readonly scope?: readonly Section[] | undefined;
}

/** Every check of the suite, with the fixtures that ship with it. */
export async function suite({ scope = SECTIONS }: SuiteOptions = {}): Promise<readonly Check[]> {
  const checks: Check[] = [];
  if (scope.includes('cases')) checks.push(...suiteCases().map(caseCheck));
  return checks;
}
