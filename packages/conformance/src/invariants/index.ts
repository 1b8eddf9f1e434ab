/** The laws that backends obey, beside giving the right numbers. */
import { kindSuites } from '../blocks/suites.ts';
import { whereSupported } from '../blocks/support.ts';
import type { Check } from '../runner/check.ts';
import { badInputLaws } from './bad-input.ts';
import { captureLaws } from './capture.ts';
import { gatingLaw } from './gating.ts';
import { keptStatesLaws } from './kept-states.ts';
import { kindLaws } from './kind.ts';
import { sequenceLaws } from './laws.ts';
import { memoryLaws } from './memory.ts';
import { modelStateLaws } from './model-state.ts';
import { notFiniteLaws } from './not-finite.ts';
import { rowUploadLaws } from './row-uploads.ts';
import { storedMatrixLaws } from './stored-matrices.ts';
import { trainingLaws } from './training.ts';

export function invariantChecks(): readonly Check[] {
  return [
    ...sequenceLaws(),
    gatingLaw(),
    ...keptStatesLaws(),
    ...modelStateLaws(),
    ...memoryLaws(),
    ...badInputLaws(),
    ...captureLaws(),
    ...rowUploadLaws(),
    ...storedMatrixLaws(),
    ...notFiniteLaws(),
    ...trainingLaws(),
    ...kindSuites().flatMap(({ laws = [] }) =>
      laws.flatMap((options) => whereSupported(options.config.kind, kindLaws(options))),
    ),
  ];
}
