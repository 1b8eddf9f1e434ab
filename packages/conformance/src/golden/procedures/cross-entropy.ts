import type { HostTensor } from '@mamba/core';
import { ROUNDING } from '../../cases/case.ts';
import { readOutputs } from '../../runner/check-case.ts';
import { damaged } from '../golden-file.ts';
import { type GoldenProcedure, numberOf, whereSupported } from './golden-procedure.ts';

/** The mean loss over the targets that count, and its gradient. */
export const crossEntropy: GoldenProcedure = {
  required: ['logits', 'targets'],
  tolerance: ROUNDING,
  run: (given) =>
    whereSupported(given, async (arena) => {
      const { backend, inputs, origin } = given;
      const labelSmoothing = numberOf(given, 'label_smoothing');
      if (numberOf(given, 'ignore_index') >= 0)
        throw damaged(origin, 'a token that is ignored', 'ignore_index below 0');
      const { logits, targets } = inputs as Record<'logits' | 'targets', HostTensor>;
      const count = Array.from(targets.data).filter((target) => target >= 0).length;
      // In float64, so that a backend of that precision is held to its own rounding.
      const shares = new Float64Array(targets.data.length).fill(1 / count);
      const x = arena.upload(logits);
      const wanted = arena.upload(targets);
      const dy = arena.upload({ dtype: 'float64', shape: targets.shape, data: shares });
      const options = { labelSmoothing };
      const values = await readOutputs(backend, {
        losses: backend.crossEntropy(x, wanted, options),
        gradient: backend.crossEntropyBackward(x, wanted, options, dy),
      });
      const mean = Array.from(values.losses!).reduce((sum, value) => sum + value, 0) / count;
      return {
        out: { loss: { shape: [], data: [mean] } },
        grad: { logits: { shape: logits.shape, data: values.gradient! } },
      };
    }),
};
