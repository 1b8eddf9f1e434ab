import type { HostArray, HostTensor, Tensor } from '@mamba/core';
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
    whereSupported(async () => {
      const { backend, inputs } = given;
      const [parameter, gradients] = [inputs.param!, inputs.grads!];
      const [steps, size] = gradients.shape as [number, number];
      const rates = ratesOf(given, steps);
      const [beta1, beta2] = betasOf(given);
      const zeros: HostTensor = { dtype: 'float32', shape: [size], data: new Float32Array(size) };
      const held: Tensor[] = [];
      const upload = (host: HostTensor): Tensor => {
        held.push(backend.upload(host));
        return held.at(-1)!;
      };
      const after: Record<'param' | 'exp_avg' | 'exp_avg_sq', HostArray[]> = { param: [], exp_avg: [], exp_avg_sq: [] };
      try {
        const [p, first, second] = [upload(parameter), upload(zeros), upload(zeros)];
        for (let index = 0; index < steps; index++) {
          const data = Float32Array.from(gradients.data.subarray(index * size, (index + 1) * size));
          const gradient = upload({ dtype: 'float32', shape: [size], data });
          backend.adamw(
            p,
            gradient,
            { first, second },
            {
              ...{ learningRate: rates[index]!, step: index + 1, beta1, beta2 },
              ...{ eps: numberOf(given, 'eps'), weightDecay: numberOf(given, 'weight_decay') },
            },
          );
          for (const [name, tensor] of [
            ['param', p],
            ['exp_avg', first],
            ['exp_avg_sq', second],
          ] as const)
            after[name].push(await backend.read(tensor));
        }
        const out = Object.entries(after).map(([name, rows]) => [
          name,
          { shape: [steps, size], data: rows.flatMap((row) => [...row]) },
        ]);
        return { out: Object.fromEntries(out), grad: {} };
      } finally {
        for (const tensor of held) tensor.dispose();
      }
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
