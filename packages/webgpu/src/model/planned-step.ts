/** The step of a model with caches that grow, prepared once for each memory of the caches. */
import type { Tensor } from '@mamba/core';
import {
  type DeviceTensor,
  type FusionContext,
  kvHeadsOf,
  type ModelConfig,
  type ModelWeights,
} from '@mamba/core/driver';
import { type AttentionBlock, bindAttentionBlock } from '../blocks/attention/block.ts';
import { dispatchAttention } from '../blocks/attention/dispatch.ts';
import type { FusedBlock } from '../blocks/fused-block.ts';
import { bindBlock, deviceWeights } from '../blocks/kinds.ts';
import type { BufferRange } from '../gpu/shader.ts';
import type { KernelContext } from '../operations/kernel-context.ts';
import { rangeOf, type Storage, unsplitStorage } from '../storage.ts';
import type { Ends } from './ends.ts';
import { type StepLayer, stepLayers } from './step-layers.ts';
import { advancePlaces, placeBytes, placesOfCache } from './step-places.ts';
import { type StepCall, Stepper } from './stepper.ts';
import { warmChoices } from './warm.ts';

/** The caches of one attention block, with room for the rows that the steps write. */
export interface Cache {
  readonly k: DeviceTensor<Storage>;
  readonly v: DeviceTensor<Storage>;
  /** The number of rows that attention is cut for: at least those that are held after the steps. */
  readonly reach: number;
}

export interface PlannedStep extends Ends {
  /** The blocks with caches, in the order of the layers. */
  readonly attention: readonly AttentionBlock[];
  readonly stepper: Stepper<readonly Cache[]>;
  /** Compiles the pipelines of a step and of a greedy generation ahead. */
  warm(): Promise<void>;
  weightsChanged(): void;
  dispose(): void;
}

/** A layer, by the number of its cache, or of its activations among those of the stepper. */
type Layer = { readonly norm: BufferRange } & (
  | { readonly attention: AttentionBlock; readonly cache: number }
  | { readonly attention: undefined; readonly block: FusedBlock; readonly activations: number }
);

export function bindStep(
  kernels: KernelContext,
  context: FusionContext<Storage>,
  config: ModelConfig,
  weights: ModelWeights<Tensor>,
): PlannedStep {
  const { gpu } = kernels;
  const { dModel, vocabSize, normEps: eps } = config;
  return gpu.allocating((allocator) => {
    const attention: AttentionBlock[] = [];
    const blocks: FusedBlock[] = [];
    const layers = config.blocks.map((block, index): Layer => {
      const own = weights.layers[index]!;
      const norm = rangeOf(context.device(own.norm));
      const source = { weights: own.block, dModel, norm: { weight: norm, eps } };
      if (block.kind !== 'attention') {
        const bound = bindBlock(kernels, allocator, context, { ...source, config: block });
        return { norm, attention: undefined, block: bound, activations: blocks.push(bound) - 1 };
      }
      const bound = { ...source, config: block, weights: deviceWeights(context, source) };
      const made = bindAttentionBlock(kernels, allocator, context, bound);
      return { norm, attention: made, cache: attention.push(made) - 1 };
    });
    const ends: Ends = {
      kernels,
      config,
      embedding: context.device(weights.embedding).storage,
      finalNorm: rangeOf(context.device(weights.finalNorm)),
      head: context.device(weights.head).storage,
    };
    const stepper = new Stepper<readonly Cache[]>(gpu, {
      dModel,
      vocabSize,
      blocks,
      placeBytes: (rows) => placeBytes(attention.length, rows),
      same: (a, b) => a.every((cache, index) => sameCache(cache, b[index]!)),
      dispatch: (call) => dispatchStep(ends, layers, call),
    });
    return {
      ...ends,
      attention,
      stepper,
      warm: () =>
        gpu.prepare(() => {
          for (const reach of WARM_REACHES) stepper.warm(attention.map((block) => unusedCache(block, reach)));
          warmChoices(gpu, vocabSize);
        }),
      weightsChanged() {
        for (const block of attention) block.weights.repack();
        for (const block of blocks) block.repack();
      },
      dispose() {
        stepper.dispose();
        for (const block of attention) block.weights.dispose();
        for (const block of blocks) block.dispose();
      },
    };
  });
}

/** Rows of caches that are read at once, and by several workgroups. */
const WARM_REACHES = [512, 8192];

/** A cache that stands for any other as pipelines are compiled. */
function unusedCache({ kernels: { gpu }, config }: AttentionBlock, reach: number): Cache {
  const shape = [1, reach, kvHeadsOf(config) * config.headDim];
  const storage = unsplitStorage({ buffer: gpu.unusedOutput.buffer, size: 16 });
  const unused = { shape, dtype: 'float32', storage } as const;
  return { k: unused, v: unused, reach };
}

/** Whether caches have the same memory, rows, and cut. */
function sameCache(a: Cache, b: Cache): boolean {
  return (
    a.reach === b.reach &&
    a.k.shape[1] === b.k.shape[1] &&
    rangeOf(a.k).buffer === rangeOf(b.k).buffer &&
    rangeOf(a.v).buffer === rangeOf(b.v).buffer
  );
}

/** Dispatches a step over all layers, the head, and the places of the next step. */
function dispatchStep(
  ends: Ends,
  layers: readonly Layer[],
  { memory, state: caches, rows }: StepCall<readonly Cache[]>,
): void {
  const { residual, places, buffers } = memory;
  const common = { batch: rows, length: 1, x: residual, y: residual, accumulate: true };
  const steps = layers.map((layer): StepLayer => {
    if (layer.attention === undefined) {
      const call = { ...common, resets: undefined, before: {}, state: {} };
      return {
        norm: layer.norm,
        step: (offered) => layer.block.step({ ...call, ...offered }, buffers[layer.activations]!),
      };
    }
    const { k, v, reach } = caches[layer.cache]!;
    const call = { ...common, k, v, keys: k.shape[1]!, row: 0, position: 0, reach: undefined };
    return {
      norm: layer.norm,
      step: (offered) =>
        dispatchAttention(layer.attention, {
          ...{ ...call, ...offered },
          places: placesOfCache(places, layer.cache, rows, reach),
        }),
    };
  });
  stepLayers(ends, memory, rows, steps);
  advancePlaces(ends.kernels.gpu, places, caches.length, rows);
}
