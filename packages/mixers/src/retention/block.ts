/**
 * The block of the retentive network (arXiv 2307.08621, section 2): with rotated queries and keys,
 *
 *     y = out_proj(silu(g_proj(x)) ⊙ norm(retention(q, k, v)))
 *
 * where norm is layer norm of each head without weights, and head h decays by 1 - 2^(-5 - h).
 */
import { type Backend, type BlockCall, type BlockDefinition, defineBlock, invalid, type Tensor } from '@mamba/core';
import { checkInteger, checkOptions, type Scope, scoped } from '@mamba/core/toolkit';
import { checkHeads, type HeadsConfig, type HeadsWeights, headDimOf, project } from '../shared/heads-block.ts';
import { joinHeads } from '../shared/tensors.ts';
import { retention } from './retention.ts';

declare module '@mamba/core' {
  interface BlockKinds {
    retention: RetentionConfig;
  }
}

/** The config of a block of kind `retention` (arXiv 2307.08621). */
export interface RetentionConfig extends HeadsConfig {
  /** Channels of a head's values. Default: twice those of its keys. */
  readonly valueDim?: number | undefined;
}

/** Makes the kind `retention` known. Call it before the first model with such blocks is made. */
export function defineRetention(): void {
  defineBlock('retention', definition);
}

type Weights = HeadsWeights & {
  /** `[heads * valueDim, dModel]` */
  readonly gProj: Tensor;
};

function valueDimOf(config: RetentionConfig, dModel: number): number {
  return config.valueDim ?? 2 * headDimOf(config, dModel);
}

const definition: BlockDefinition<RetentionConfig> = {
  check(origin, config, dModel) {
    checkOptions(origin, config, ['kind', 'heads', 'headDim', 'valueDim']);
    checkHeads(origin, config, dModel);
    if (config.valueDim !== undefined) checkInteger(`${origin}.valueDim`, config.valueDim, 1, 2 ** 16);
    const headDim = headDimOf(config, dModel);
    if (headDim % 2 !== 0)
      throw invalid(`${origin}.headDim`, String(headDim), 'an even number, since pairs are rotated');
  },
  parameters(config, dModel) {
    const keys = config.heads * headDimOf(config, dModel);
    const values = config.heads * valueDimOf(config, dModel);
    return [
      { key: 'qProj', shape: [keys, dModel], role: 'matrix' },
      { key: 'kProj', shape: [keys, dModel], role: 'matrix' },
      { key: 'vProj', shape: [values, dModel], role: 'matrix' },
      { key: 'gProj', shape: [values, dModel], role: 'matrix' },
      { key: 'outProj', shape: [dModel, values], role: 'matrix', training: { residual: true } },
    ];
  },
  state: (config, dModel) => [
    { name: 'ssm', shape: [config.heads, valueDimOf(config, dModel), headDimOf(config, dModel)] },
  ],
  compose(backend, { heads }, given) {
    const weights = given as Weights;
    return {
      forward: (call) =>
        scoped((scope) => {
          const { x, state, resets } = call;
          const [q, k, v] = project(backend, scope, x, weights, heads);
          const positions = positionsOf(backend, scope, call);
          const rotate = (tensor: Tensor): Tensor => scope.own(backend.rope(tensor, { positions, interleaved: true }));
          const decays = decaysOf(backend, scope, heads);
          const result = retention(backend, rotate(q), rotate(k), v, decays, { initialState: state?.ssm, resets });
          const [y, ssm] = [scope.own(result.y), scope.own(result.lastState)];
          const normed = joinHeads(backend, scope, scope.own(backend.layerNorm(y)));
          const gate = scope.own(backend.linear(x, weights.gProj));
          const gated = scope.own(backend.multiply(gate, normed, { activation: 'silu' }));
          return { y: backend.linear(gated, weights.outProj), state: { ssm: scope.release(ssm) } };
        }),
    };
  },
};

/** The position of each token, int32 `[batch, length]`. */
function positionsOf(backend: Backend, scope: Scope, { positions, batch, length }: BlockCall): Tensor {
  const data = Int32Array.from(
    { length: batch * length },
    (_, index) => positions[Math.floor(index / length)]! + (index % length),
  );
  return scope.own(backend.upload({ dtype: 'int32', shape: [batch, length], data }));
}

/** ln(1 - 2^(-5 - h)) of each head. */
function decaysOf(backend: Backend, scope: Scope, heads: number): Tensor {
  const data = Float64Array.from({ length: heads }, (_, head) => Math.log1p(-(2 ** (-5 - head))));
  return scope.own(backend.upload({ dtype: 'float64', shape: [heads], data }));
}
