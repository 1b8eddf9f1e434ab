import type { MambaConfig } from '@mamba/core';
import type { KindSuite } from '../contract.ts';
import { mambaBadInput } from './bad-input.ts';
import { mambaCases } from './cases.ts';
import { mambaGolden } from './golden.ts';
import { mambaDraws } from './properties.ts';
import { BIASED_BLOCK, FALCON_BLOCK } from './shapes.ts';

export const mambaSuite: KindSuite<MambaConfig> = {
  cases: mambaCases,
  properties: () => ({ block: mambaDraws() }),
  sequences: { block: BIASED_BLOCK, 'block-falcon': FALCON_BLOCK },
  badInput: mambaBadInput,
  golden: mambaGolden,
};
