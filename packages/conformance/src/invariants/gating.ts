/** Gating is selection: theorem 1 of arXiv 2312.00752. */

import { floats, normals } from '../cases/host.ts';
import { Random } from '../random.ts';
import type { Check } from '../runner/check.ts';
import { withArena } from './arena.ts';
import { invariant, SAME_VALUES } from './invariant.ts';

const [BATCH, LENGTH, DIM] = [2, 19, 5];

/**
 * With one state, A = -1, B = C = 1 and delta = softplus(linear(u)), the scan in the discretisation of the paper's
 * equation 4 is the gated recurrence of an RNN,
 *
 *     g_t = sigmoid(linear(u_t))          h_t = (1 - g_t) h_(t-1) + g_t u_t
 *
 * since exp(-softplus(x)) = 1 - sigmoid(x). The recurrence is computed here in float64.
 */
export function gatingLaw(): Check {
  return invariant('selective-scan/gating-is-selection', (findings, { backend }) =>
    withArena(backend, async (arena) => {
      const random = new Random(17);
      const [u, weight, bias] = [
        normals(random, [BATCH, LENGTH, DIM]),
        normals(random, [DIM, DIM]),
        normals(random, [DIM]),
      ];
      const all = (value: number) => arena.upload(floats([DIM, 1], () => value));
      const input = arena.upload(u);
      const delta = arena.own(backend.linear(input, arena.upload(weight), arena.upload(bias)));
      const { y } = arena.all(
        backend.selectiveScan(input, delta, all(-1), all(1), all(1), { deltaSoftplus: true, discretization: 'zoh' }),
      );
      const expected = new Float64Array(u.data.length);
      for (let row = 0; row < BATCH; row++)
        for (let channel = 0; channel < DIM; channel++) {
          let h = 0;
          for (let t = 0; t < LENGTH; t++) {
            const at = (row * LENGTH + t) * DIM;
            let x = bias.data[channel]!;
            for (let i = 0; i < DIM; i++) x += weight.data[channel * DIM + i]! * u.data[at + i]!;
            const g = 1 / (1 + Math.exp(-x));
            h = (1 - g) * h + g * u.data[at + channel]!;
            expected[at + channel] = h;
          }
        }
      findings.close('h', await arena.read(y), expected, SAME_VALUES);
    }),
  );
}
