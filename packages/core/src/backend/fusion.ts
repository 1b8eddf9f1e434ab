/**
 * The fused forms of each backend. They are stored beside the backend, not on it, since only core's block and model use
 * them.
 */
import type { BlockKernel, BlockWeights, LayerKernel } from '../blocks/contract.ts';
import type { BlockConfig } from '../blocks/kinds.ts';
import type { Backend } from '../contract/backend.ts';
import type { Tensor } from '../contract/tensor.ts';
import type { ModelConfig, ModelKernel, ModelWeights } from '../model/contract.ts';
import type { LayerSource } from './driver.ts';

export interface Fusion {
  block(config: BlockConfig, weights: BlockWeights<Tensor>, dModel: number): BlockKernel | undefined;
  layer(source: LayerSource): LayerKernel | undefined;
  /** New tensors of matrices that one kernel can read as one; undefined where the given ones stay as they are. */
  join(matrices: readonly Tensor[]): readonly Tensor[] | undefined;
  model(config: ModelConfig, weights: ModelWeights<Tensor>): ModelKernel | undefined;
}

const fusions = new WeakMap<Backend, Fusion>();

export function registerFusion(backend: Backend, fusion: Fusion): void {
  fusions.set(backend, fusion);
}

export function fusionOf(backend: Backend): Fusion | undefined {
  return fusions.get(backend);
}
