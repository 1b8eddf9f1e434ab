import type { StateSlot } from '../blocks/contract.ts';
import { blockDefinition } from '../blocks/kinds.ts';
import { sizeOf } from '../contract/tensor.ts';
import type { ModelConfig } from './contract.ts';

/** The slots of each layer's state. */
export function modelSlots({ blocks, dModel }: ModelConfig): readonly (readonly StateSlot[])[] {
  return blocks.map((block) => blockDefinition('config.blocks', block.kind).state(block, dModel));
}

/** Whether the state of a sequence grows with its tokens, at least until a window is full. */
export function stateGrows(config: ModelConfig): boolean {
  return modelSlots(config).some((slots) => slots.some(({ shape }) => shape.includes('length')));
}

/** Bytes of one sequence's state in float32 after so many tokens. */
export function stateBytes(config: ModelConfig, tokens: number): number {
  return modelSlots(config)
    .flat()
    .reduce((sum, { shape, window = tokens }) => {
      const extents = shape.map((extent) => (extent === 'length' ? Math.min(tokens, window) : extent));
      return sum + 4 * sizeOf(extents);
    }, 0);
}
