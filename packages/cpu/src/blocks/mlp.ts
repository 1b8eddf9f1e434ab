/** A feed-forward block, whose activation works in place on the projections' outputs. */
import type { MlpWeights } from '@mamba/core/driver';
import { addressOf, ELEMENT, type Stored } from '../operations/context.ts';
import { linearCommands } from '../operations/linear.ts';
import { multiplyCommand } from '../operations/multiply.ts';
import type { Fuse } from './fused.ts';

export const fuseMlp: Fuse<'mlp'> = ({ dHidden, activation }, weights, dModel) => {
  const { gate, gateBias, up, upBias, down, downBias } = weights as MlpWeights<Stored>;
  return {
    slots: [],
    scratch: (gate === undefined ? 1 : 2) * dHidden,
    packed: Math.max(dModel, dHidden),
    commands(commands, { context, arena, x, norm, y, accumulate, scratch, packed, batch, length }) {
      const rows = batch * length;
      const activated = scratch;
      const factor = gate === undefined ? 0 : scratch + rows * dHidden * ELEMENT;
      const project = (matrix: Stored, bias: Stored | undefined, to: number): void => {
        commands.push(
          ...linearCommands(context, arena, {
            x,
            weight: matrix.storage,
            bias: addressOf(bias),
            y: to,
            rows,
            inputs: dModel,
            outputs: dHidden,
            norm,
            packed,
          }),
        );
      };
      if (gate === undefined) project(up, upBias, activated);
      else {
        project(gate, gateBias, activated);
        project(up, upBias, factor);
      }
      commands.push(
        multiplyCommand({ a: activated, b: factor, y: activated, rows: 1, channels: rows * dHidden, activation }),
        ...linearCommands(context, arena, {
          x: activated,
          weight: down.storage,
          bias: addressOf(downBias),
          y,
          rows,
          inputs: dHidden,
          outputs: dModel,
          accumulate,
          packed,
        }),
      );
    },
  };
};
