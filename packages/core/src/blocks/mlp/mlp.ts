/**
 * The feed-forward block: down(f(gate x) · up x) where gated (SwiGLU, arXiv 2002.05202), else down(f(up x)). It works
 * on each token by itself and has no state.
 */
import type { Tensor } from '../../contract/tensor.ts';
import type { BlockDefinition } from '../contract.ts';
import { composeMlp } from './compose.ts';
import { checkMlp, type MlpConfig } from './config.ts';
import { type MlpWeights, mlpParameters } from './parameters.ts';

export const mlp: BlockDefinition<MlpConfig> = {
  defaults: { bias: false },
  check: checkMlp,
  parameters: mlpParameters,
  joined: [['gate', 'up']],
  state: () => [],
  compose: (backend, config, weights) => composeMlp(backend, config, weights as MlpWeights<Tensor>),
};
