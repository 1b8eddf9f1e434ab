/** The fused form of a kind: the commands of one block, and the memory that they work in. */
import type { BlockConfig, BlockKind, StateSlot } from '@mamba/core/driver';
import type { Arena } from '../memory/heap.ts';
import type { Context, Stored } from '../operations/context.ts';
import type { Command } from '../program/program.ts';

/** A block's weights with their places in memory. */
export type StoredWeights = Readonly<Record<string, Stored | undefined>>;

/** Binds the weights of a block of the kind. */
export type Fuse<K extends BlockKind> = (config: BlockConfig<K>, weights: StoredWeights, dModel: number) => FusedBlock;

export interface FusedBlock {
  readonly slots: readonly StateSlot[];
  /** Floats that the block works in, for each row of x. */
  readonly scratch: number;
  /** Inputs of its widest product, whose x is packed into tiles. */
  readonly packed: number;
  /** Appends the block's commands over a pass. */
  commands(commands: Command[], pass: BlockPass): void;
}

/** Addresses are in bytes, and 0 means that there is none. */
export interface BlockPass {
  readonly context: Context;
  readonly arena: Arena;
  /** `[batch, length, dModel]` */
  readonly x: number;
  /** The model's RMS norm, which the first products apply to x; undefined where there is none. */
  readonly norm: { readonly weight: number; readonly eps: number } | undefined;
  /** `[batch, length, dModel]`; may be x. */
  readonly y: number;
  /** Whether the block's output is added to y. */
  readonly accumulate: boolean;
  /** Memory of `scratch` floats for each row. */
  readonly scratch: number;
  /** Memory of `packedBytes` for `packed` inputs. */
  readonly packed: number;
  /**
   * Addresses of each slot before and after the pass, in the order of `slots`. They are the same where a slot moves on
   * in place.
   */
  readonly before: readonly number[];
  readonly after: readonly number[];
  /** int32 `[batch, length]` */
  readonly resets: number;
  readonly batch: number;
  readonly length: number;
}
