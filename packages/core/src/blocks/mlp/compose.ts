import { scoped } from '../../backend/scope.ts';
import type { Backend } from '../../contract/backend.ts';
import type { Tensor } from '../../contract/tensor.ts';
import type { BlockKernel } from '../contract.ts';
import type { MlpConfig } from './config.ts';
import type { MlpWeights } from './parameters.ts';

/** The block composed of the backend's operations. */
export function composeMlp(
  backend: Backend,
  { activation }: MlpConfig,
  { gate, gateBias, up, upBias, down, downBias }: MlpWeights<Tensor>,
): BlockKernel {
  return {
    forward: ({ x }) =>
      scoped((scope) => {
        const upper = scope.own(backend.linear(x, up, upBias));
        const hidden =
          gate === undefined
            ? scope.own(backend.multiply(upper, undefined, { activation }))
            : scope.own(backend.multiply(scope.own(backend.linear(x, gate, gateBias)), upper, { activation }));
        return { y: backend.linear(hidden, down, downBias), state: {} };
      }),
  };
}
