import { type Scope, scoped } from '../../backend/scope.ts';
import type { Backend } from '../../contract/backend.ts';
import type { Tensor } from '../../contract/tensor.ts';
import type { BlockCall, BlockKernel, BlockResult } from '../contract.ts';
import { appendRows, offsetsOf, uniform } from '../growing.ts';
import type { AttentionConfig } from './config.ts';
import { type AttentionWeights, attentionState } from './parameters.ts';
import { reachOf } from './reach.ts';

/**
 * The block composed of the backend's operations. A step writes a row of k and of v behind those that the state holds
 * (`growing.ts`), and reads the cache once.
 */
export function composeAttention(
  backend: Backend,
  config: AttentionConfig,
  weights: AttentionWeights<Tensor>,
): BlockKernel {
  return { forward: (call) => forward(backend, config, weights, call) };
}

function forward(
  backend: Backend,
  config: AttentionConfig,
  weights: AttentionWeights<Tensor>,
  call: BlockCall,
): BlockResult {
  const { x, state, positions } = call;
  const { headDim, window, globalTokens, scale, softcap } = config;
  return scoped((scope) => {
    const placed = placing(backend, scope, config, call);
    const q = placed(scope.own(backend.linear(x, weights.qProj, weights.qProjBias)), weights.qNorm);
    const newK = placed(scope.own(backend.linear(x, weights.kProj, weights.kProjBias)), weights.kNorm);
    const newV = scope.own(backend.linear(x, weights.vProj, weights.vProjBias));
    const [slot] = attentionState(config);
    const cache = appendRows(backend, scope, slot!, [state?.k, state?.v], [newK, newV], positions);
    const [k, v] = cache.tensors as [Tensor, Tensor];
    const { reach, begun } = reachOf(backend, scope, call);
    const mixed = backend.attention(q, k, v, {
      ...{ headDim, window, globalTokens, scale, softcap, reach },
      ...offsetsOf(backend, scope, cache.before),
    });
    scope.own(mixed.logSumExp);
    const y = backend.linear(scope.own(mixed.y), weights.outProj, weights.outProjBias);
    const [lastK, lastV] = cache.state.map((tensor) => scope.release(tensor)) as [Tensor, Tensor];
    return { y, state: { k: lastK, v: lastV, begun: scope.release(begun) } };
  });
}

/** Norm and positions of q or k: `[batch, length, heads * headDim]` → the same. What is made belongs to the scope. */
function placing(
  backend: Backend,
  scope: Scope,
  { headDim, rope, qkNormEps: eps }: AttentionConfig,
  { positions, batch, length }: BlockCall,
): (x: Tensor, norm: Tensor | undefined) => Tensor {
  const where = rope && { ...rope, headDim, ...placesOf(backend, scope, positions, length) };
  return (x, weight) => {
    let placed = x;
    if (eps !== undefined) {
      const heads = scope.own(backend.reshape(x, [batch, length, x.shape[2]! / headDim, headDim]));
      const normed = scope.own(backend.rmsNorm(heads, { weight, eps }));
      placed = scope.own(backend.reshape(normed, x.shape));
    }
    return where === undefined ? placed : scope.own(backend.rope(placed, where));
  };
}

/** The positions of the tokens of a call: one offset, or int32 `[batch, length]` where rows are of unequal age. */
function placesOf(
  backend: Backend,
  scope: Scope,
  positions: readonly number[],
  length: number,
): { readonly offset: number } | { readonly positions: Tensor } {
  if (uniform(positions)) return { offset: positions[0]! };
  const data = Int32Array.from(positions.flatMap((first) => Array.from({ length }, (_, index) => first + index)));
  return {
    positions: scope.own(backend.upload({ dtype: 'int32', shape: [positions.length, length], data })),
  };
}
