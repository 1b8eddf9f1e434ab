import { composedBlock } from '@mamba/core/driver';
import type { GoldenComposition } from './golden-composition.ts';

/** The feed-forward block of core with a gate. */
export const swiglu: GoldenComposition = {
  required: ['x', 'gate', 'up', 'down'],
  compute(backend, { x, gate, up, down }) {
    const [batch, length] = x!.shape as [number, number];
    const dHidden = gate!.shape[0]!;
    const block = composedBlock(backend, { kind: 'mlp', dHidden, activation: 'silu' }, { gate, up, down });
    const positions = new Array<number>(batch).fill(0);
    return { y: block.forward({ x: x!, state: undefined, positions, resets: undefined, batch, length }).y };
  },
};
