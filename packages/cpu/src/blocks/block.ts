/**
 * The kernels that core calls: of a block by itself, and of a layer of a model with a kind that has no place in the
 * fused model. Each call is one program.
 */
import { sizeOf, type Tensor } from '@mamba/core';
import {
  type BlockCall,
  type BlockConfig,
  type BlockResult,
  type BlockWeights,
  type FuseBlock,
  type FusedBlocks,
  type FusionContext,
  type LayerCall,
  type LayerKernel,
  type LayerNormSource,
  type LayerResult,
  type LayerSource,
  scoped,
} from '@mamba/core/driver';
import type { Storage } from '../memory/storage.ts';
import { addressOf, type Context, ELEMENT } from '../operations/context.ts';
import { copyCommand } from '../operations/copy.ts';
import { layerNormCommand } from '../operations/layer-norm.ts';
import { type Command, Program } from '../program/program.ts';
import { coreAttention } from './attention.ts';
import type { CoreBlock } from './core-block.ts';
import { coreFused } from './fused-for-core.ts';
import { FUSED_KINDS, fuseBlock } from './kinds.ts';

/** Functions that make the kernel of one block, for each kind that has a fused form. */
export function fusedBlocks(context: Context): FusedBlocks<Storage> {
  const fuse: FuseBlock<Storage> = (fusion, config, weights, dModel) => {
    const block = coreBlock(context, fusion, config, weights, dModel);
    return block && { forward: (call) => forwardBlock(context, fusion, block, call) };
  };
  return Object.fromEntries([...FUSED_KINDS, 'attention'].map((kind) => [kind, fuse]));
}

/** Makes a layer: an RMS norm goes into the block's first products, and a LayerNorm is a command before them. */
export function fusedLayer(
  context: Context,
  fusion: FusionContext<Storage>,
  { config, weights, dModel, norm }: LayerSource,
): LayerKernel | undefined {
  const block = coreBlock(context, fusion, config, weights, dModel);
  return block && { forward: (call) => forwardLayer(context, fusion, block, norm, call) };
}

/** Maps the weights of a block that are present, by key. */
export function mapBlock<T, R>(weights: BlockWeights<T>, map: (weight: T) => R): BlockWeights<R> {
  return Object.fromEntries(
    Object.entries(weights).map(([key, weight]) => [key, weight === undefined ? undefined : map(weight)]),
  );
}

/** Binds a block; undefined where its kind has no fused form. */
function coreBlock(
  context: Context,
  fusion: FusionContext<Storage>,
  config: BlockConfig,
  given: BlockWeights<Tensor>,
  dModel: number,
): CoreBlock | undefined {
  const weights = mapBlock(given, (tensor) => fusion.device(tensor));
  if (config.kind === 'attention') return coreAttention(context, fusion, config, weights, dModel);
  const fused = fuseBlock(config, weights, dModel);
  return fused && coreFused(context, fusion, fused);
}

function forwardBlock(
  { heap, team }: Context,
  fusion: FusionContext<Storage>,
  block: CoreBlock,
  { x, ...call }: BlockCall,
): BlockResult {
  return scoped((scope) =>
    heap.run((arena) => {
      const y = arena.result(sizeOf(x.shape) * ELEMENT);
      const { commands, state } = block.prepare(arena, scope, {
        ...call,
        ...{ x: addressOf(fusion.device(x)), norm: undefined, y: y.address, accumulate: false },
      });
      team.run(new Program(heap, arena, commands));
      return { y: fusion.tensor(y, { shape: x.shape, dtype: 'float32' }), state: state() };
    }),
  );
}

/** A residual that is donated takes the block's output; otherwise a copy of it does. */
function forwardLayer(
  { heap, team }: Context,
  fusion: FusionContext<Storage>,
  block: CoreBlock,
  norm: LayerNormSource,
  { residual, read, donated, ...call }: LayerCall,
): LayerResult {
  const { shape } = residual;
  const bytes = sizeOf(shape) * ELEMENT;
  const addressIn = (tensor: Tensor | undefined): number => addressOf(tensor && fusion.device(tensor));
  return scoped((scope) =>
    heap.run((arena) => {
      const given = addressIn(residual);
      const copy = donated ? undefined : arena.result(bytes);
      const y = copy?.address ?? given;
      const before: Command[] = copy === undefined ? [] : [copyCommand(given, y, bytes)];
      const [weight, { eps }] = [addressIn(norm.weight), norm];
      let x = addressIn(read);
      if (norm.kind === 'layer') {
        const normed = arena.scratch(bytes).address;
        const channels = shape.at(-1)!;
        const rows = call.batch * call.length;
        before.push(layerNormCommand({ x, weight, bias: addressIn(norm.bias), y: normed, rows, channels, eps }));
        x = normed;
      }
      const applied = norm.kind === 'rms' ? { weight, eps } : undefined;
      const { commands, state } = block.prepare(arena, scope, { ...call, x, norm: applied, y, accumulate: true });
      team.run(new Program(heap, arena, [...before, ...commands]));
      const next = copy && fusion.tensor(copy, { shape, dtype: 'float32' });
      return { residual: next ?? residual, state: state() };
    }),
  );
}
