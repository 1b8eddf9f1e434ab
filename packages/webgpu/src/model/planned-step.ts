/** The step of a model that core walks through otherwise, prepared once for each memory of its state. */
import type { Tensor } from '@mamba/core';
import {
  type BlockConfig,
  blockDefinition,
  type DeviceTensor,
  type FusionContext,
  isGated,
  kvHeadsOf,
  type ModelConfig,
  type ModelWeights,
} from '@mamba/core/driver';
import { type AttentionBlock, bindAttentionBlock, widthOf } from '../blocks/attention/block.ts';
import { attentionBuffers, dispatchAttention } from '../blocks/attention/dispatch.ts';
import type { FusedBlock, NormsOfStep, SlotRanges } from '../blocks/fused-block.ts';
import { bindBlock, deviceWeights } from '../blocks/kinds.ts';
import type { Gpu } from '../gpu/gpu.ts';
import type { KernelContext } from '../operations/kernel-context.ts';
import type { Norms } from '../operations/linear-normed.ts';
import { rangeOf, type Storage, unsplitStorage } from '../storage.ts';
import { addPositions, type Ends, embed } from './ends.ts';
import { type JoinedNorms, joinLayerNorms, type LayerNormWeights, rmsNorm } from './norms.ts';
import { type StepGroup, stepLayers } from './step-layers.ts';
import { advancePlaces, placeBytes, placesOfCache, positionsIn } from './step-places.ts';
import { type StepCall, Stepper } from './stepper.ts';
import { warmChoices } from './warm.ts';

/** The caches of one attention block, with room for the rows that the steps write. */
export interface Cache {
  readonly k: DeviceTensor<Storage>;
  readonly v: DeviceTensor<Storage>;
  /** The number of rows that attention is cut for: at least those that are held after the steps. */
  readonly reach: number;
}

/** The memory of a state: the caches of all attention blocks, and the slots of the other blocks, in their order. */
export interface StepState {
  readonly caches: readonly Cache[];
  readonly slots: readonly SlotRanges[];
}

export interface PlannedStep extends Ends {
  /** The blocks with caches, in the order of the layers. */
  readonly attention: readonly AttentionBlock[];
  readonly stepper: Stepper<StepState>;
  /** The number of lists of places: one for each cache, and one at least where there is a table of positions. */
  readonly lists: number;
  /** Compiles the pipelines of a step and of a greedy generation ahead. */
  warm(): Promise<void>;
  weightsChanged(): void;
  dispose(): void;
}

/** A layer, by the number of its cache, or by that of its slots. Activations stand in the same order, caches first. */
type Layer =
  | { readonly attention: AttentionBlock; readonly cache: number }
  | { readonly attention: undefined; readonly block: FusedBlock; readonly number: number };

interface Group extends Pick<StepGroup, 'norms' | 'outputs'> {
  readonly layers: readonly Layer[];
}

export function bindStep(
  kernels: KernelContext,
  context: FusionContext<Storage>,
  config: ModelConfig,
  weights: ModelWeights<Tensor>,
): PlannedStep {
  const { gpu } = kernels;
  const { dModel, vocabSize, normEps, norm: kind, parallel = 1 } = config;
  return gpu.allocating((allocator) => {
    const attention: AttentionBlock[] = [];
    const blocks: FusedBlock[] = [];
    const joined: JoinedNorms[] = [];
    const normsOf = (parts: readonly LayerNormWeights[]): Norms => {
      if (kind !== 'layer') return rmsNorm(rangeOf(context.device(parts[0]!.norm)), normEps);
      joined.push(joinLayerNorms(gpu, allocator, context, parts, config));
      return joined.at(-1)!;
    };
    const bound = (index: number, norms: Norms): Layer => {
      const block = config.blocks[index]!;
      // Products apply an RMS norm themselves, and take rows that went through a LayerNorm.
      const norm = norms.kind === 'rms' ? norms : undefined;
      const source = { weights: weights.layers[index]!.block, dModel, norm };
      if (block.kind !== 'attention') {
        const made = bindBlock(kernels, allocator, context, { ...source, config: block });
        return { attention: undefined, block: made, number: blocks.push(made) - 1 };
      }
      const sized = { ...source, config: block, weights: deviceWeights(context, source) };
      const made = bindAttentionBlock(kernels, allocator, context, sized);
      return { attention: made, cache: attention.push(made) - 1 };
    };
    const groups = Array.from({ length: config.blocks.length / parallel }, (_, group): Group => {
      const first = group * parallel;
      const norms = normsOf(weights.layers.slice(first, first + parallel));
      const outputs = parallel === 1 ? normedOutputs(config.blocks[first]!) : undefined;
      return { norms, outputs, layers: Array.from({ length: parallel }, (_, branch) => bound(first + branch, norms)) };
    });
    const ends: Ends = {
      kernels,
      config,
      embedding: context.device(weights.embedding).storage,
      positions: weights.positions && context.device(weights.positions).storage,
      finalNorm: normsOf([{ norm: weights.finalNorm, normBias: weights.finalNormBias }]),
      head: context.device(weights.head).storage,
    };
    const lists = Math.max(attention.length, ends.positions === undefined ? 0 : 1);
    const stepper = new Stepper<StepState>(gpu, {
      dModel,
      vocabSize,
      parallel,
      blocks: [
        ...attention.map((block) => ({ stepBuffers: (rows: number) => attentionBuffers(block, rows) })),
        ...blocks,
      ],
      placeBytes: (rows) => placeBytes(lists, rows),
      same: sameState,
      dispatch: (call) => dispatchStep(ends, groups, lists, call),
    });
    const slots = config.blocks
      .filter((block) => block.kind !== 'attention')
      .map((block) => unusedSlots(gpu, block, dModel));
    return {
      ...ends,
      attention,
      stepper,
      lists,
      warm: () =>
        gpu.prepare(() => {
          for (const reach of WARM_REACHES)
            stepper.warm({ caches: attention.map((block) => unusedCache(block, reach)), slots });
          warmChoices(gpu, vocabSize);
        }),
      weightsChanged() {
        for (const block of attention) block.weights.repack();
        for (const item of [...blocks, ...joined]) item.repack();
      },
      dispose() {
        stepper.dispose();
        for (const block of attention) block.weights.dispose();
        for (const item of [...blocks, ...joined]) item.dispose();
      },
    };
  });
}

/** Outputs of a block's first products; undefined where these take normalised rows or apply an RMS norm alone. */
function normedOutputs(config: BlockConfig): number | undefined {
  if (config.kind === 'attention') return widthOf(config);
  return config.kind === 'mlp' ? config.dHidden * (isGated(config) ? 2 : 1) : undefined;
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

/** Slots that stand for any others as pipelines are compiled. */
function unusedSlots(gpu: Gpu, config: BlockConfig, dModel: number): SlotRanges {
  const slots = blockDefinition('block.kind', config.kind).state(config, dModel);
  return Object.fromEntries(slots.map(({ name }) => [name, gpu.unusedOutput]));
}

function sameState(a: StepState, b: StepState): boolean {
  return (
    a.caches.every((cache, index) => sameCache(cache, b.caches[index]!)) &&
    a.slots.every((slots, index) => sameSlots(slots, b.slots[index]!))
  );
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

function sameSlots(a: SlotRanges, b: SlotRanges): boolean {
  return Object.entries(a).every(([name, { buffer }]) => buffer === b[name]!.buffer);
}

/** Dispatches a step over all layers, the head, and the places of the next step. */
function dispatchStep(
  ends: Ends,
  groups: readonly Group[],
  lists: number,
  { memory, state, rows }: StepCall<StepState>,
): void {
  const { fed, residual, places, buffers } = memory;
  const { gpu } = ends.kernels;
  embed(ends, fed, rows, residual);
  addPositions(ends, positionsIn(places, rows), rows, residual);
  const common = { batch: rows, length: 1, x: residual, y: residual, accumulate: true };
  const stepOf =
    (layer: Layer) =>
    (offered: NormsOfStep): boolean => {
      if (layer.attention === undefined) {
        const slots = state.slots[layer.number]!;
        const call = { ...common, ...offered, resets: undefined, before: slots, state: slots };
        return layer.block.step(call, buffers[state.caches.length + layer.number]!);
      }
      const { k, v, reach } = state.caches[layer.cache]!;
      return dispatchAttention(layer.attention, {
        ...{ ...common, ...offered, k, v, keys: k.shape[1]!, row: 0, position: 0, reach: undefined },
        ...{ places: placesOfCache(places, layer.cache, rows, reach), buffers: buffers[layer.cache]! },
      });
    };
  const steps = groups.map(({ layers, ...group }): StepGroup => ({ ...group, steps: layers.map(stepOf) }));
  stepLayers(ends, memory, rows, steps);
  if (lists > 0) advancePlaces(gpu, places, lists, rows);
}
