import type { RopeBackwardCall, RopeCall } from '@mamba/core/driver';
import { floats, type Input, integers, newFloats, type Storage } from '../storage.ts';

/** Turns each pair of channels by the angle of its position: `(u cos a - w sin a, u sin a + w cos a)`. */
export function rope({ x, ...call }: RopeCall<Input>): Storage {
  return turned(call, floats(x), 1);
}

/** Turns back: the gradient of a rotation is its inverse. */
export function ropeBackward({ dy, ...call }: RopeBackwardCall<Input>): Storage {
  return turned(call, floats(dy), -1);
}

function turned(call: Omit<RopeCall<Input>, 'x'>, x: Float64Array, sign: 1 | -1): Storage {
  const { offset, frequencies, interleaved, batch, length, heads, headDim } = call;
  const positions = integers(call.positions);
  const pairs = frequencies.length;
  const y = newFloats(x.length);
  y.set(x);
  for (let b = 0; b < batch; b++)
    for (let t = 0; t < length; t++) {
      const position = positions?.[b * length + t] ?? offset + t;
      for (let h = 0; h < heads; h++) {
        const first = ((b * length + t) * heads + h) * headDim;
        for (const [pair, frequency] of frequencies.entries()) {
          const [i, k] = interleaved ? [2 * pair, 2 * pair + 1] : [pair, pair + pairs];
          const [u, w] = [x[first + i]!, x[first + k]!];
          const cos = Math.cos(position * frequency);
          const sin = sign * Math.sin(position * frequency);
          y[first + i] = u * cos - w * sin;
          y[first + k] = u * sin + w * cos;
        }
      }
    }
  return y;
}
