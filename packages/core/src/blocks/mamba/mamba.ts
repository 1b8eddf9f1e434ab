/**
 * The Mamba block (arXiv 2312.00752, figure 3 and section 3.4):
 * in_proj → split x, z → causal conv → SiLU → x_proj → dt, B, C → dt_proj → selective scan with gate z → out_proj.
 */
import type { Tensor } from '../../contract/tensor.ts';
import type { BlockDefinition } from '../contract.ts';
import { composeMamba } from './compose.ts';
import { checkMamba, MAMBA_DEFAULTS, type MambaConfig } from './config.ts';
import { type MambaWeights, mambaParameters, mambaState } from './parameters.ts';

export const mamba: BlockDefinition<MambaConfig> = {
  defaults: MAMBA_DEFAULTS,
  check: checkMamba,
  parameters: mambaParameters,
  state: mambaState,
  compose: (backend, config, weights) => composeMamba(backend, config, weights as MambaWeights<Tensor>),
};
