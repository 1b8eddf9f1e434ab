import type { Tensor } from '@mamba/core';
import { ROUNDING } from '../../cases/case.ts';
import { readOutputs } from '../../runner/check-case.ts';
import { type GoldenProcedure, numberOf, whereSupported } from './golden-procedure.ts';

/**
 * Gradients that are clipped by their global norm. A backend clips within an update, so the clipped gradient is read
 * from the first moment of an update with beta1 0, which is the gradient itself.
 */
export const clipByNorm: GoldenProcedure = {
  required: ['g0'],
  tolerance: ROUNDING,
  run: (given) =>
    whereSupported(async () => {
      const { backend, inputs } = given;
      const maxNorm = numberOf(given, 'max_norm');
      const held: Tensor[] = [];
      const own = (tensor: Tensor): Tensor => {
        held.push(tensor);
        return tensor;
      };
      try {
        const gradients = Object.entries(inputs).map(([name, host]) => ({
          name,
          host,
          tensor: own(backend.upload(host)),
        }));
        const norm = own(backend.gradientNorm(gradients.map(({ tensor }) => tensor)));
        const clipped: Record<string, Tensor> = {};
        for (const { name, host, tensor } of gradients) {
          const [parameter, second] = [own(backend.upload(host)), own(backend.upload(host))];
          clipped[name] = backend.upload(host);
          const moments = { first: clipped[name], second };
          backend.adamw(parameter, tensor, moments, { learningRate: 0, step: 1, beta1: 0, norm, maxNorm });
        }
        const values = await readOutputs(backend, clipped);
        const out = gradients.map(({ name, host }) => [name, { shape: host.shape, data: values[name]! }]);
        return {
          out: { ...Object.fromEntries(out), norm: { shape: [], data: await backend.read(norm) } },
          grad: {},
        };
      } finally {
        for (const tensor of held) tensor.dispose();
      }
    }),
};
