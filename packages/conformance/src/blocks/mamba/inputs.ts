import type { MambaConfig } from '@mamba/core';
import { inverseSoftplus } from '../../cases/regimes.ts';
import type { KindInputs } from '../contract.ts';

/**
 * Mamba's initialisation (arXiv 2312.00752, section 3.6): dt_proj is within dtRank^-1/2, its bias gives steps of 0.001
 * to 0.1, and A is -1 … -dState (S4D-Real). The convolution is within dConv^-1/2, as PyTorch initialises it.
 */
export const mambaInputs: KindInputs<MambaConfig> = {
  parameter({ dState, dConv, dtRank }, key, draw) {
    switch (key) {
      case 'A':
        return draw.around((index) => -((index % dState) + 1));
      case 'dtBias':
        return draw.each((random) => inverseSoftplus(random.logUniform(1e-3, 0.1)));
      case 'dtProj':
        return draw.within(dtRank ** -0.5);
      case 'conv':
      case 'convBias':
        return draw.within(dConv ** -0.5);
      default:
        return undefined;
    }
  },
  // The scan's state is an average of its inputs, and smaller than they are.
  stateDeviation: { ssm: 0.1 },
  scalable: ['outProj', 'xProj'],
};
