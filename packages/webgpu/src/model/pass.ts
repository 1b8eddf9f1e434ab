import type { FusionContext, ModelConfig } from '@mamba/core/driver';
import type { Buffers } from '../blocks/buffers.ts';
import type { FusedBlock } from '../blocks/fused-block.ts';
import type { SlotBuffers } from '../blocks/slots.ts';
import type { PooledBuffer } from '../gpu/buffer-pool.ts';
import type { Allocator } from '../gpu/gpu.ts';
import type { BufferRange } from '../gpu/shader.ts';
import type { KernelContext } from '../operations/kernel-context.ts';
import type { Norms } from '../operations/linear-normed.ts';
import type { Storage } from '../storage.ts';
import type { Slots } from './state.ts';
import type { Stepper } from './stepper.ts';

/** A model, bound to the device. */
export interface Fused {
  readonly kernels: KernelContext;
  readonly context: FusionContext<Storage>;
  readonly config: ModelConfig;
  readonly embedding: Storage;
  readonly blocks: readonly FusedBlock[];
  /** The norm of each layer. */
  readonly norms: readonly Norms[];
  readonly finalNorm: Norms;
  readonly head: Storage;
  readonly slots: Slots;
  readonly stepper: Stepper<readonly SlotBuffers[]>;
}

/** One chunk of tokens on its way through the layers. */
export interface Pass {
  readonly batch: number;
  readonly length: number;
  /** int32 `[batch, length]` */
  readonly ids: BufferRange;
  /** int32 `[batch, length]` */
  readonly resets: BufferRange | undefined;
  /** `[batch, length, dModel]`: the embedding at first, then each layer's output. */
  readonly residual: BufferRange;
  /** Activations of each layer. */
  readonly buffers: readonly Buffers[];
  /** The state before the pass, layer by layer; undefined where sequences begin. */
  readonly before: readonly SlotBuffers[] | undefined;
  /** The memory of the state after the pass. */
  readonly state: readonly SlotBuffers[];
  /** The memory that takes the residual before each layer, where hidden states are asked for. */
  readonly hiddenStates: HiddenStates | undefined;
}

export interface HiddenStates {
  readonly allocator: Allocator;
  readonly kept: PooledBuffer[];
}
