/** A block with its weights as core can call it, alone or as a layer. */
import type { BlockCall, BlockState, Scope } from '@mamba/core/driver';
import type { Arena } from '../memory/heap.ts';
import type { Command } from '../program/program.ts';
import type { BlockPass } from './fused.ts';

export interface CoreBlock {
  /** Prepares a call. The commands are good until the arena closes, and what they need of tensors is the scope's. */
  prepare(arena: Arena, scope: Scope, call: CoreCall): Prepared;
}

/** A call of core with addresses in place of x and y. */
export interface CoreCall extends Omit<BlockCall, 'x'>, Pick<BlockPass, 'x' | 'norm' | 'y' | 'accumulate'> {}

export interface Prepared {
  readonly commands: readonly Command[];
  /** Makes handles of the state after the call, once the commands have run. They are the caller's. */
  state(): BlockState;
}
