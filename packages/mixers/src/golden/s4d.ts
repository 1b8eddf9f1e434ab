import type { S4dDiscretization } from '@mamba/core';
import { checkOneOf, scoped } from '@mamba/core/toolkit';
import { s4dKernel } from '../s4d/kernel.ts';
import { planesOf } from '../s4d/planes.ts';
import type { GoldenComposition } from './composition.ts';

export const goldenS4d: GoldenComposition = {
  required: ['u', 'dt', 'A_re', 'C_re'],
  compute: (backend, { u, dt, D, ...parts }, { options }) =>
    scoped((scope) => {
      checkOneOf('s4d.discretization', String(options.discretization), ['zoh', 'bilinear']);
      const discretization = options.discretization as S4dDiscretization;
      const planes = (name: string, axis = 0) => {
        const re = parts[`${name}_re`];
        return re && planesOf(backend, scope, re, parts[`${name}_im`], axis);
      };
      const [A, B, C] = [planes('A')!, planes('B'), planes('C')!];
      const { y, lastState } = backend.s4d(u!, dt!, A, C, { B, D, initialState: planes('initial', 1), discretization });
      scope.own(y);
      scope.own(lastState);
      const [batch, length, dim] = u!.shape as [number, number, number];
      const state = A.shape.at(-1)!;
      const part = (index: number) => {
        const plane = scope.own(backend.slice(lastState, 1, index, index + 1));
        return scope.own(backend.reshape(plane, [batch, dim, state]));
      };
      const last = parts.A_im ? { last_re: part(0), last_im: part(1) } : { last_re: lastState };
      // [length, dim], and the file has [dim, length].
      const answer = scope.own(s4dKernel(backend, dt!, A, C, { length, B, discretization }));
      const channels = Array.from({ length: dim }, (_, channel) => {
        const column = scope.own(backend.slice(answer, 2, channel, channel + 1));
        return scope.own(backend.reshape(column, [1, length]));
      });
      const results = { y, ...last, kernel: scope.own(backend.concat(channels, 0)) };
      for (const tensor of Object.values(results)) scope.release(tensor);
      return results;
    }),
};
