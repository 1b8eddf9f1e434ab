/**
 * The steps of a model's forward pass, from token ids to logits. The composed model runs them one after another, and
 * training records them. Each returns tensors that belong to the caller.
 */
import { type Scope, scoped } from '../backend/scope.ts';
import type { BlockCall, BlockKernel, BlockState } from '../blocks/contract.ts';
import type { Backend } from '../contract/backend.ts';
import { MambaError } from '../contract/errors.ts';
import type { Tensor } from '../contract/tensor.ts';
import type { LayerWeights, ModelCall, ModelConfig, ModelWeights } from './contract.ts';

/** What the steps of a forward pass need of a model. */
export interface ModelParts {
  readonly backend: Backend;
  readonly config: ModelConfig;
  /** The weights outside the layers. */
  readonly weights: Omit<ModelWeights<Tensor>, 'layers'>;
}

/** The tokens of a call, and where they stand in their sequences. */
export type TokenCall = Pick<ModelCall, 'ids' | 'positions' | 'resets' | 'batch' | 'length'>;

/**
 * int32 ids `[batch, length]` → `[batch, length, dModel]`, with the rows of the table of positions added if there is
 * one.
 * @throws MambaError `invalid-argument` beyond the last position, `unsupported` for resets beside such a table.
 */
export function embedTokens({ backend, config, weights }: ModelParts, call: TokenCall): Tensor {
  return scoped((scope) => {
    const rows = scope.own(backend.embedding(weights.embedding, call.ids));
    const embedded = scaled(backend, scope, rows, config.multipliers?.embedding);
    if (weights.positions === undefined) return scope.release(embedded);
    const placed = scope.own(backend.embedding(weights.positions, scope.own(positionIds(backend, config, call))));
    return backend.add(embedded, placed);
  });
}

/**
 * `residual + block(norm(read))` of one layer, and the state of its block. A layer reads the residual itself, or if it
 * is one of parallel blocks, the residual before the first of them.
 */
export function runLayer(
  { backend, config }: Pick<ModelParts, 'backend' | 'config'>,
  { norm, normBias }: Pick<LayerWeights<Tensor>, 'norm' | 'normBias'>,
  kernel: BlockKernel,
  residual: Tensor,
  call: Omit<BlockCall, 'x'>,
  read = residual,
): { readonly residual: Tensor; readonly state: BlockState } {
  return scoped((scope) => {
    const normed = scope.own(normalise(backend, config, read, norm, normBias));
    const mixed = kernel.forward({ x: normed, ...call });
    scope.drop(normed);
    for (const tensor of Object.values(mixed.state)) scope.own(tensor);
    const y = scaled(backend, scope, scope.own(mixed.y), config.multipliers?.residual);
    const next = backend.add(residual, y);
    for (const tensor of Object.values(mixed.state)) scope.release(tensor);
    return { residual: next, state: mixed.state };
  });
}

/** Whether a layer is the first of parallel blocks, which all read its residual; true for every layer without such. */
export function beginsGroup({ parallel = 1 }: ModelConfig, layer: number): boolean {
  return layer % parallel === 0;
}

/** The norm before the head: `[…, dModel]` → the same shape. */
export function finalHidden({ backend, config, weights }: ModelParts, residual: Tensor): Tensor {
  return normalise(backend, config, residual, weights.finalNorm, weights.finalNormBias);
}

/** The head: normalised hidden states `[…, dModel]` → logits `[…, vocabSize]`. */
export function logitsOf({ backend, config, weights }: ModelParts, hidden: Tensor): Tensor {
  return scoped((scope) =>
    scope.release(scaled(backend, scope, scope.own(backend.linear(hidden, weights.head)), config.multipliers?.logits)),
  );
}

/**
 * Checks that the table of positions, where a model has one, has a row for each of the next `length` tokens.
 * @throws MambaError `invalid-argument`
 */
export function checkPositions(
  { positions: most = Number.POSITIVE_INFINITY }: Pick<ModelConfig, 'positions'>,
  positions: readonly number[],
  length: number,
): void {
  const end = Math.max(...positions) + length;
  if (end > most)
    throw new MambaError('invalid-argument', `the model has ${most} positions`, {
      origin: 'model.forward',
      given: `a sequence of ${end} tokens`,
      expected: `at most ${most} tokens`,
      remedy: 'Begin anew without a state, with the last tokens that fit.',
    });
}

/** int32 `[batch, length]`: the position of each token in its row. */
function positionIds(backend: Backend, config: ModelConfig, { positions, batch, length, resets }: TokenCall): Tensor {
  checkPositions(config, positions, length);
  if (resets !== undefined)
    throw new MambaError('unsupported', 'a model with a table of positions takes no resets', {
      origin: 'model.forward.resets',
      remedy: 'Feed packed sequences as rows of their own.',
    });
  const data = new Int32Array(batch * length);
  for (const index of data.keys()) data[index] = positions[Math.floor(index / length)]! + (index % length);
  return backend.upload({ dtype: 'int32', shape: [batch, length], data });
}

/** x times a factor, which replaces x in the scope; x itself where the factor is 1. */
function scaled(backend: Backend, scope: Scope, x: Tensor, scale: number | undefined): Tensor {
  if (scale === undefined || scale === 1) return x;
  const y = scope.own(backend.multiply(x, undefined, { scale }));
  scope.drop(x);
  return y;
}

function normalise(
  backend: Backend,
  { norm, normEps: eps }: ModelConfig,
  x: Tensor,
  weight: Tensor,
  bias: Tensor | undefined,
): Tensor {
  return norm === 'layer' ? backend.layerNorm(x, { weight, bias, eps }) : backend.rmsNorm(x, { weight, eps });
}
