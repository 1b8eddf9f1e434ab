/**
 * The fused form of a kind of blocks: it runs in few dispatches, on the residual and on memory that is lent to it.
 * Models walk over such blocks, and `blockKernel` makes one that core can call.
 */
import type { BlockConfig, BlockKind, BlockWeights, DeviceTensor } from '@mamba/core/driver';
import type { Allocator } from '../gpu/gpu.ts';
import type { BufferRange } from '../gpu/shader.ts';
import type { KernelContext } from '../operations/kernel-context.ts';
import type { InputNorm } from '../operations/linear.ts';
import type { NextNorms } from '../operations/linear-normed.ts';
import type { Storage } from '../storage.ts';
import type { BufferSizes, Buffers } from './buffers.ts';

/** A kind of blocks, as this backend has it. */
export interface FusedKind<Kind extends BlockKind = BlockKind> {
  /** The reason why a block of this config cannot run a call of this size on this device; undefined where it can. */
  refusal(kernels: KernelContext, config: BlockConfig<Kind>, batch: number, length: number): string | undefined;
  /** Binds the weights, and packs small ones together. What it allocates is the block's. */
  bind(kernels: KernelContext, allocator: Allocator, source: BlockSource<Kind>): FusedBlock;
}

export interface BlockSource<Kind extends BlockKind = BlockKind> {
  readonly config: BlockConfig<Kind>;
  readonly weights: BlockWeights<DeviceTensor<Storage>>;
  readonly dModel: number;
  /** The RMS norm that is applied to the input first; undefined where the input is normed already. */
  readonly norm: RmsNorm | undefined;
}

export interface RmsNorm {
  readonly weight: BufferRange;
  readonly eps: number;
}

/** One block with its weights. */
export interface FusedBlock {
  /**
   * Slots that a prefill reads where it writes them: they hold the state before the call when it begins. The others it
   * reads in `FusedCall.before`. A step moves every slot on in place.
   */
  readonly slotsInPlace: readonly string[];
  /** Sizes of the activations of a prefill over `rows` rows (batch · length). */
  prefillBuffers(rows: number): BufferSizes;
  /** Sizes of the activations of a step of `rows` rows. */
  stepBuffers(rows: number): BufferSizes;
  /** Runs any number of tokens a row. `buffers` are those of `prefillBuffers`, or larger. */
  prefill(call: FusedCall, buffers: Buffers): void;
  /**
   * Runs one token a row, without resets. `buffers` are those of `stepBuffers`, or larger. Returns whether it wrote the
   * rows of `call.next` as well.
   */
  step(call: FusedStep, buffers: Buffers): boolean;
  /** Makes the packed copies again after weights were written to in place. Their memory stays where it is. */
  repack(): void;
  /** Frees what `bind` allocated. */
  dispose(): void;
}

/** A block's part in a call. */
export interface FusedCall {
  readonly batch: number;
  readonly length: number;
  /** int32 `[batch, length]` */
  readonly resets: BufferRange | undefined;
  /** `[batch, length, dModel]` */
  readonly x: BufferRange;
  /** `[batch, length, dModel]`: where the output goes. It may be x. */
  readonly y: BufferRange;
  /** Whether the output is added to y, which is the residual then. */
  readonly accumulate: boolean;
  /** The state before the call, by slot; a slot that is absent is zero. */
  readonly before: SlotRanges;
  /** The memory of the state after the call. */
  readonly state: SlotRanges;
}

/** A step may take its norm from the block before it, and save the next block's. */
export interface FusedStep extends FusedCall, NormsOfStep {}

export interface NormsOfStep {
  /** x after the block's norm, where the block before has written it. */
  readonly normed?: BufferRange | undefined;
  /** The norm of x for the first products to apply, where it is not the block's own. */
  readonly norm?: InputNorm | undefined;
  /** The norms of what reads y next. */
  readonly next?: NextNorms | undefined;
}

/** Memory of a block's state by slot. */
export type SlotRanges = Readonly<Record<string, BufferRange>>;
