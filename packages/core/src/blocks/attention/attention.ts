/**
 * Softmax attention (arXiv 1706.03762) over the tokens of a sequence so far: causal, with grouped queries, rotary
 * positions, a window, and norms of q and k. Its state is the cache of k, after norm and positions, and v.
 */
import type { Tensor } from '../../contract/tensor.ts';
import type { BlockDefinition } from '../contract.ts';
import { composeAttention } from './compose.ts';
import { type AttentionConfig, checkAttention } from './config.ts';
import { type AttentionWeights, attentionParameters, attentionState } from './parameters.ts';

export const attention: BlockDefinition<AttentionConfig> = {
  defaults: { bias: false, outBias: false },
  check: checkAttention,
  parameters: attentionParameters,
  joined: [['qProj', 'kProj', 'vProj']],
  state: attentionState,
  compose: (backend, config, weights) => composeAttention(backend, config, weights as AttentionWeights<Tensor>),
};
