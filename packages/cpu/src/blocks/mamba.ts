/** A Mamba block: the kernels read and write where their neighbours did, so nothing is copied. */
import { blockDefinition, type MambaConfig, type MambaWeights } from '@mamba/core/driver';
import { convCommand } from '../operations/causal-conv1d.ts';
import { addressOf, ELEMENT, type Stored } from '../operations/context.ts';
import { type LinearOptions, linearCommands } from '../operations/linear.ts';
import { scanCommand } from '../operations/selective-scan.ts';
import type { Command } from '../program/program.ts';
import type { BlockPass, Fuse } from './fused.ts';

export const fuseMamba: Fuse<'mamba'> = (config, weights, dModel) => {
  const { dInner, dState, dtRank } = config;
  const bound = weights as MambaWeights<Stored>;
  return {
    slots: blockDefinition('mamba', 'mamba').state(config, dModel),
    scratch: 4 * dInner + dtRank + 2 * dState,
    packed: Math.max(dModel, dInner, dtRank),
    commands: (commands, pass) => mambaCommands(commands, config, bound, dModel, pass),
  };
};

function mambaCommands(
  commands: Command[],
  config: MambaConfig,
  weights: MambaWeights<Stored>,
  dModel: number,
  pass: BlockPass,
): void {
  const { dInner, dState, dConv, dtRank, mixerNormEps } = config;
  const { context, arena, packed, resets, batch, length } = pass;
  const rows = batch * length;
  const [convBefore, ssmBefore] = pass.before as readonly [number, number];
  const [convAfter, ssmAfter] = pass.after as readonly [number, number];
  const projectedWidth = dtRank + 2 * dState;
  const xz = pass.scratch;
  const u = xz + rows * 2 * dInner * ELEMENT;
  // This memory holds delta, and afterwards the scan's result.
  const delta = u + rows * dInner * ELEMENT;
  const projected = delta + rows * dInner * ELEMENT;
  const B = projected + dtRank * ELEMENT;
  // The fields are spelled out, since spreads of objects of several shapes give slow objects. They took half the time
  // of a single-token call.
  const project = (options: Omit<LinearOptions, 'rows' | 'packed'>): void => {
    const { x, xStride, weight, bias, y, inputs, outputs, accumulate, norm } = options;
    commands.push(
      ...linearCommands(context, arena, {
        x,
        xStride,
        weight,
        bias,
        y,
        rows,
        inputs,
        outputs,
        accumulate,
        norm,
        packed,
      }),
    );
  };
  project({
    x: pass.x,
    weight: weights.inProj.storage,
    bias: addressOf(weights.inProjBias),
    y: xz,
    inputs: dModel,
    outputs: 2 * dInner,
    norm: pass.norm,
  });
  commands.push(
    convCommand(context, arena, {
      x: xz,
      xStride: 2 * dInner * ELEMENT,
      weight: addressOf(weights.conv),
      bias: addressOf(weights.convBias),
      initialState: convBefore,
      lastState: convAfter,
      resets,
      y: u,
      batch,
      length,
      dim: dInner,
      width: dConv,
      silu: true,
    }),
  );
  project({ x: u, weight: weights.xProj.storage, y: projected, inputs: dInner, outputs: projectedWidth });
  if (mixerNormEps !== undefined) commands.push(mixerNormCommand(projected, rows, config, weights, mixerNormEps));
  project({
    x: projected,
    xStride: projectedWidth * ELEMENT,
    weight: weights.dtProj.storage,
    y: delta,
    inputs: dtRank,
    outputs: dInner,
  });
  commands.push(
    scanCommand(context, arena, {
      u,
      delta,
      A: addressOf(weights.A),
      B,
      C: B + dState * ELEMENT,
      D: addressOf(weights.D),
      z: xz + dInner * ELEMENT,
      deltaBias: addressOf(weights.dtBias),
      resets,
      initialState: ssmBefore,
      lastState: ssmAfter,
      states: 0,
      y: delta,
      zStride: 2 * dInner * ELEMENT,
      stepStride: projectedWidth * ELEMENT,
      deltaSoftplus: true,
      discretization: 'euler',
      batch,
      length,
      dim: dInner,
      state: dState,
      groups: 1,
      constantB: false,
      constantC: false,
    }),
  );
  project({
    x: delta,
    weight: weights.outProj.storage,
    bias: addressOf(weights.outProjBias),
    y: pass.y,
    inputs: dInner,
    outputs: dModel,
    accumulate: pass.accumulate,
  });
}

/** Rows of a task. */
const TASK_ROWS = 16;

function mixerNormCommand(
  projected: number,
  rows: number,
  { dtRank, dState }: MambaConfig,
  { dtNorm, BNorm, CNorm }: MambaWeights<Stored>,
  eps: number,
): Command {
  return {
    operation: 'mixerNorm',
    tasks: Math.ceil(rows / TASK_ROWS),
    call: {
      projected,
      dtWeight: addressOf(dtNorm),
      BWeight: addressOf(BNorm),
      CWeight: addressOf(CNorm),
      rows,
      dtRank,
      state: dState,
      eps,
      taskRows: TASK_ROWS,
    },
  };
}
