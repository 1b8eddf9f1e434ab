import { runCommands } from '../program/program.ts';
import { addressOf, type Call, type Context } from './context.ts';

/** Values of a task, which take some 10 µs. */
const TASK = 8192;

/**
 * Updates a parameter in place. It may be a float32 matrix in panels; its gradient and its moments are row-major.
 */
export function adamw({ heap, team }: Context, call: Call<'adamw'>): void {
  const { parameter, gradient, first, second, norm, maxNorm, size } = call;
  const { beta1, beta2, eps, weightDecay } = call;
  const [learningRate, rate, correction] = 'storage' in call.rates ? heap.floats(call.rates.storage, 3) : call.rates;
  const panels = parameter.storage.layout === 'float32';
  const [rows, columns] = panels ? (parameter.shape as [number, number]) : [1, size];
  const taskColumns = Math.min(columns, TASK);
  heap.run((arena) =>
    runCommands(heap, arena, team, {
      operation: 'adamw',
      tasks: rows * Math.ceil(columns / taskColumns),
      call: {
        parameter: panels ? parameter.storage.address : addressOf(parameter),
        gradient: addressOf(gradient),
        first: addressOf(first),
        second: addressOf(second),
        norm: addressOf(norm),
        maxNorm,
        beta1,
        fresh1: 1 - beta1,
        beta2,
        fresh2: 1 - beta2,
        eps,
        keep: 1 - learningRate! * weightDecay,
        rate: rate!,
        correction: Math.sqrt(correction!),
        rows,
        columns,
        panels,
        taskColumns,
      },
    }),
  );
}
