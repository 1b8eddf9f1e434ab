/** What the fused form of a kind gives the model: the commands of one block, and what they work in. */
import type { BlockConfig, BlockKind, StateSlot } from '@mamba/core/driver';
import type { Arena } from '../memory/heap.ts';
import type { Context, Stored } from '../operations/context.ts';
import type { Command } from '../program/program.ts';

/** A block's weights, where they are stored. */
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
  /** x is RMS-normalised first: the model's norm, which the first products take in. */
  readonly norm: { readonly weight: number; readonly eps: number } | undefined;
  /** `[batch, length, dModel]`; may be x. */
  readonly y: number;
  /** The block's output is added to y. */
  readonly accumulate: boolean;
  /** `scratch` floats a row. */
  readonly scratch: number;
  /** `packedBytes` for `packed` inputs. */
  readonly packed: number;
  /** Each slot before and after the pass, in the order of `slots`: the same where it moves on in place. */
  readonly before: readonly number[];
  readonly after: readonly number[];
  /** int32 `[batch, length]` */
  readonly resets: number;
  readonly batch: number;
  readonly length: number;
}
