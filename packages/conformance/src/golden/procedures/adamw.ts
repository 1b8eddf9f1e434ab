import type { HostTensor } from '@mamba/core';
import type { Tolerance } from '../../cases/case.ts';
import { damaged } from '../golden-file.ts';
import { type GoldenProcedure, numberOf, type ProcedureCase, whereSupported } from './golden-procedure.ts';

/** Some steps of AdamW, with the parameter and the moments after each of them: `[steps, n]`. */
export const adamw: GoldenProcedure = {
  required: ['param', 'grads'],
  tolerance: {
    relative: 1e-5,
    reason: 'float32 rounding of each step, and of the options to float32',
  } satisfies Tolerance,
  run: (given) =>
    whereSupported(given, async (arena) => {
      const { backend, inputs } = given;
      const [parameter, gradients] = [inputs.param!, inputs.grads!];
      const [steps, size] = gradients.shape as [number, number];
      const rates = ratesOf(given, steps);
      const [beta1, beta2] = betasOf(given);
      const [eps, weightDecay] = [numberOf(given, 'eps'), numberOf(given, 'weight_decay')];
      const zeros: HostTensor = { dtype: 'float32', shape: [size], data: new Float32Array(size) };
      const updated = { param: arena.upload(parameter), exp_avg: arena.upload(zeros), exp_avg_sq: arena.upload(zeros) };
      const moments = { first: updated.exp_avg, second: updated.exp_avg_sq };
      const after = Object.entries(updated).map(([name, tensor]) => ({ name, tensor, data: [] as number[] }));
      for (const [index, learningRate] of rates.entries()) {
        const data = Float32Array.from(gradients.data.subarray(index * size, (index + 1) * size));
        const gradient = arena.upload({ dtype: 'float32', shape: [size], data });
        const options = { learningRate, step: index + 1, beta1, beta2, eps, weightDecay };
        backend.adamw(updated.param, gradient, moments, options);
        for (const { tensor, data: rows } of after) rows.push(...(await backend.read(tensor)));
      }
      const out = after.map(({ name, data }) => [name, { shape: [steps, size], data }]);
      return { out: Object.fromEntries(out), grad: {} };
    }),
};

/** The learning rate of each step: one number for all, or a list. */
function ratesOf({ entry: { lr }, origin }: ProcedureCase, steps: number): readonly number[] {
  if (typeof lr === 'number') return new Array<number>(steps).fill(lr);
  if (Array.isArray(lr) && lr.length === steps && lr.every((rate) => typeof rate === 'number')) return lr;
  throw damaged(`${origin}: lr`, JSON.stringify(lr) ?? 'nothing', `a number, or ${steps} of them`);
}

function betasOf({ entry: { betas }, origin }: ProcedureCase): readonly [number, number] {
  if (Array.isArray(betas) && betas.length === 2 && betas.every((beta) => typeof beta === 'number'))
    return betas as [number, number];
  throw damaged(`${origin}: betas`, JSON.stringify(betas) ?? 'nothing', 'two numbers');
}
