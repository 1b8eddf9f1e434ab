import { ROTATION } from '../../cases/rope.ts';
import { damaged } from '../golden-file.ts';
import type { GoldenOperation } from './golden-operation.ts';

export const rotary: GoldenOperation = {
  operation: 'rope',
  inputs: { x: 'x', positions: 'positions' },
  required: ['x'],
  outputs: { y: 'y' },
  tolerance: ROTATION,
  options({ theta, rotary_dim, offset = 0, interleaved = false }, origin) {
    for (const [name, value] of Object.entries({ theta, rotary_dim, offset }))
      if (typeof value !== 'number') throw damaged(`${origin}: ${name}`, String(value), 'a number');
    if (typeof interleaved !== 'boolean') throw damaged(`${origin}: interleaved`, String(interleaved), 'true or false');
    return { theta, rotaryDim: rotary_dim, offset, interleaved };
  },
  arguments: ({ x, positions }, options) => [x, placed(options, positions)],
  gradients: {
    operation: 'ropeBackward',
    tolerance: ROTATION,
    result: 'x',
    arguments: ({ positions }, options, { y }) => [placed(options, positions), y],
  },
};

/** Options with the position of each token, where the file gives them, in place of the first one's. */
function placed({ offset, ...rest }: Readonly<Record<string, unknown>>, positions: unknown) {
  return positions === undefined ? { ...rest, offset } : { ...rest, positions };
}
