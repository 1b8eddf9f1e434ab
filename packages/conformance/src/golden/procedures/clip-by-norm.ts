import { ROUNDING } from '../../cases/case.ts';
import { type GoldenProcedure, numberOf, type Result, whereSupported } from './golden-procedure.ts';

/**
 * Gradients that are clipped by their global norm. A backend clips within an update, so the clipped gradient is read
 * from the first moment of an update with beta1 0, which is the gradient itself.
 */
export const clipByNorm: GoldenProcedure = {
  required: ['g0'],
  tolerance: ROUNDING,
  run: (given) =>
    whereSupported(given, async (arena) => {
      const { backend, inputs } = given;
      const maxNorm = numberOf(given, 'max_norm');
      const gradients = Object.entries(inputs).map(([name, host]) => ({ name, host, tensor: arena.upload(host) }));
      const norm = arena.own(backend.gradientNorm(gradients.map(({ tensor }) => tensor)));
      const out: Record<string, Result> = { norm: { shape: [], data: await arena.read(norm) } };
      for (const { name, host, tensor } of gradients) {
        const [parameter, first, second] = [arena.upload(host), arena.upload(host), arena.upload(host)];
        backend.adamw(parameter, tensor, { first, second }, { learningRate: 0, step: 1, beta1: 0, norm, maxNorm });
        out[name] = { shape: host.shape, data: await arena.read(first) };
      }
      return { out, grad: {} };
    }),
};
