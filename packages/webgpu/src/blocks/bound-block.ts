/** A block with its weights as core can call it, alone or as a layer. */
import type { BlockCall, BlockState } from '@mamba/core/driver';
import type { BufferRange } from '../gpu/shader.ts';

export interface BoundBlock {
  /** The reason why a call of this size cannot run on this device; undefined where it can. */
  refusal(batch: number, length: number): string | undefined;
  /** Runs a call that was not refused, and returns the state after it, which is the caller's. */
  run(call: CoreCall): BlockState;
  /** Makes packed copies again after weights were written to in place. */
  repack(): void;
  /** Frees what the block allocated. */
  dispose(): void;
}

/** A call of core with memory in place of x and y. */
export interface CoreCall extends Omit<BlockCall, 'x'> {
  /** `[batch, length, dModel]` */
  readonly x: BufferRange;
  /** `[batch, length, dModel]`; it may be x. */
  readonly y: BufferRange;
  /** Whether the output is added to y. */
  readonly accumulate: boolean;
}
