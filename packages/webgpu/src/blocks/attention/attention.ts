/** The attention block on the device, on the cache that core keeps. Its definition is in core, in blocks/attention. */
import { MambaError, type Shape, sizeOf, type Tensor } from '@mamba/core';
import {
  type AttentionConfig,
  type AttentionWeights,
  attentionState,
  type DeviceTensor,
  extendRows,
  type FusionContext,
  kvHeadsOf,
  reachOf,
  resolveAttention,
  resolveRope,
  type SlotMemory,
  scoped,
  uniform,
} from '@mamba/core/driver';
import { type Allocator, wholeRange } from '../../gpu/gpu.ts';
import { bindingRefusal } from '../../gpu/limits.ts';
import type { BufferRange } from '../../gpu/shader.ts';
import { attend, attentionRefusal } from '../../operations/attention.ts';
import type { KernelContext } from '../../operations/kernel-context.ts';
import { project, projectionRefusal } from '../../operations/linear.ts';
import { rangeOf, type Storage, unsplitStorage } from '../../storage.ts';
import type { BoundBlock, CoreCall } from '../bound-block.ts';
import type { BlockSource, RmsNorm } from '../fused-block.ts';
import { normedInput, normsApart } from '../normed-input.ts';
import { place } from './place.ts';
import { type BoundAttention, bindAttention } from './weights.ts';

export interface AttentionBlock {
  readonly kernels: KernelContext;
  readonly context: FusionContext<Storage>;
  readonly config: AttentionConfig;
  readonly dModel: number;
  readonly norm: RmsNorm | undefined;
  readonly weights: BoundAttention;
  /** Radians a position, of each pair of channels that turns; none without rotary positions. */
  readonly frequencies: readonly number[];
}

/**
 * Binds a block. A step takes four to six dispatches: norm and q, k and v; their norms, positions and the cache; the
 * bounds of rows of unequal age; attention, and the sum of its parts; the output.
 */
export function fuseAttention(
  kernels: KernelContext,
  allocator: Allocator,
  context: FusionContext<Storage>,
  { config, weights, dModel, norm }: BlockSource<'attention'>,
): BoundBlock {
  const { heads, headDim, rope } = config;
  const turned = rope && resolveRope({ shape: [1, 1, heads, headDim], dtype: 'float32' }, rope).call;
  const bound = bindAttention(kernels.gpu, allocator, config, weights as AttentionWeights<DeviceTensor<Storage>>);
  const frequencies = turned?.frequencies ?? [];
  const block: AttentionBlock = { kernels, context, config, dModel, norm, weights: bound, frequencies };
  return {
    refusal: (batch, length) => refusal(block, batch, length),
    run: (call) => run(block, call),
    repack: () => bound.repack(),
    dispose: () => bound.dispose(),
  };
}

/** The channels of q, k and v of a token, which lie one behind another. */
function widthOf(config: AttentionConfig): number {
  return (config.heads + 2 * kvHeadsOf(config)) * config.headDim;
}

function refusal({ kernels, config }: AttentionBlock, batch: number, length: number): string | undefined {
  const { gpu } = kernels;
  const rows = batch * length;
  return (
    bindingRefusal(gpu, 'q, k and v', rows * widthOf(config)) ??
    projectionRefusal(gpu, rows, widthOf(config)) ??
    attentionRefusal(kernels, callOf(config, { batch, length, keys: length, offset: 0 }))
  );
}

function run(block: AttentionBlock, { x, y, accumulate, ...call }: CoreCall): Readonly<Record<string, Tensor>> {
  const { kernels, context, config, dModel, norm, weights } = block;
  const { gpu } = kernels;
  const { state, positions, batch, length } = call;
  const kvInner = kvHeadsOf(config) * config.headDim;
  const inner = config.heads * config.headDim;
  return scoped((scope) => {
    const { reach, begun } = reachOf(context.backend, scope, call);
    const shape = [batch, length, kvInner];
    const cache = extendRows(
      scope,
      attentionState(config)[0]!,
      [state?.k, state?.v],
      shape,
      positions,
      slotMemory(block),
    );
    const [k, v] = cache.tensors.map((tensor) => context.device(tensor)) as [
      DeviceTensor<Storage>,
      DeviceTensor<Storage>,
    ];
    const capacity = k.shape[1]!;
    const offset = cache.before[0]!;
    const places = uniform(cache.before) && uniform(positions) ? undefined : kernels.places.of(cache.before, positions);
    gpu.allocating((allocator) => {
      const rows = batch * length;
      const floats = (count: number, label: string): BufferRange =>
        wholeRange(allocator.scratch(4 * rows * count, label));
      const width = widthOf(config);
      const qkv = floats(width, 'q, k and v');
      const q = allocator.scratch(4 * rows * inner, 'q');
      const normed = floats(normsApart(norm, rows) ? dModel : 0, 'normed');
      const input = normedInput(kernels, norm, { x, rows, dModel, normed });
      for (const { weight, first, outputs } of weights.inputs)
        project(kernels, weight, {
          ...input,
          ...{ rows, inputs: dModel, outputs, bias: weights.bias, y: qkv, yRow: width, yOffset: first },
        });
      place(block, allocator, {
        ...{ batch, length, capacity, row: offset, position: positions[0]!, places: places?.range },
        ...{ x: qkv, q: wholeRange(q), k: rangeOf(k), v: rangeOf(v) },
      });
      // A single row of the batch ends where its keys do, so that no room behind them is looked at.
      const keys = batch === 1 ? offset + length : capacity;
      const mixed = floats(inner, 'attention y');
      attend(
        kernels,
        allocator,
        {
          ...callOf(config, { batch, length, keys, offset }),
          q: { shape: [batch, length, inner], dtype: 'float32', storage: unsplitStorage(q) },
          ...{ k, v, offsets: places?.offsets, reach: reach && context.device(reach) },
          ...{ segments: undefined, keyLengths: undefined },
        },
        { y: mixed, results: floats(config.heads, 'attention logSumExp') },
      );
      project(kernels, weights.outProj, {
        ...{ x: mixed, rows, inputs: inner, outputs: dModel, bias: weights.outProjBias, y, accumulate },
      });
    });
    const [lastK, lastV] = cache.state.map((tensor) => scope.release(tensor)) as [Tensor, Tensor];
    return { k: lastK, v: lastV, begun: scope.release(begun) };
  });
}

interface AttentionSizes {
  readonly batch: number;
  readonly length: number;
  readonly keys: number;
  readonly offset: number;
}

/** The call of the operation, with specs in place of tensors. */
function callOf(config: AttentionConfig, { batch, length, keys, offset }: AttentionSizes) {
  const { heads, headDim, window, globalTokens, scale, softcap } = config;
  const spec = (rows: number, channels: number) => ({ shape: [batch, rows, channels], dtype: 'float32' }) as const;
  const cached = spec(keys, kvHeadsOf(config) * headDim);
  const options = { headDim, window, globalTokens, scale, softcap, offset };
  return resolveAttention(spec(length, heads * headDim), cached, cached, options).call;
}

/** Memory of the cache: nothing fills it, and rows are copied where it has to grow. */
function slotMemory({ kernels: { gpu }, context }: AttentionBlock): SlotMemory {
  return {
    allocate: (shape: Shape) => {
      const reason = bindingRefusal(gpu, 'the cache', sizeOf(shape));
      if (reason !== undefined)
        throw new MambaError('unsupported', `webgpu cannot run this call: ${reason}`, {
          origin: 'block.forward',
          given: `a cache [${shape.join(', ')}]`,
          remedy: 'Take fewer rows at once, or a model with a window.',
        });
      const buffer = gpu.allocating((allocator) => allocator.result(4 * sizeOf(shape), 'cache'));
      return context.tensor(unsplitStorage(buffer), { shape, dtype: 'float32' });
    },
    copyRows(from, to, first, count) {
      const [source, target] = [from, to].map((tensor) => rangeOf(context.device(tensor))) as [
        BufferRange,
        BufferRange,
      ];
      const bytes = 4 * sizeOf(to.shape.slice(2));
      for (let row = 0; row < to.shape[0]!; row++)
        gpu.recorder.copy(
          source.buffer,
          source.offset + (row * from.shape[1]! + first) * bytes,
          target.buffer,
          target.offset + row * to.shape[1]! * bytes,
          count * bytes,
        );
    },
  };
}
