/**
 * The Mamba-2 block (arXiv 2405.21060, section 7, figure 6):
 * in_proj → split z, x, B, C, dt → causal conv of x, B, C → SiLU → scan with one decay a head → gate and norm →
 * out_proj. The norm is over the channels of each group by itself.
 */
import type { Tensor } from '../../contract/tensor.ts';
import type { BlockDefinition } from '../contract.ts';
import { composeMamba2 } from './compose.ts';
import { checkMamba2, MAMBA2_DEFAULTS, type Mamba2Config } from './config.ts';
import { type Mamba2Weights, mamba2Parameters, mamba2State } from './parameters.ts';

export const mamba2: BlockDefinition<Mamba2Config> = {
  defaults: MAMBA2_DEFAULTS,
  check: checkMamba2,
  parameters: mamba2Parameters,
  state: mamba2State,
  compose: (backend, config, weights) => composeMamba2(backend, config, weights as Mamba2Weights<Tensor>),
};
