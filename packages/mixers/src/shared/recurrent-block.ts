/** Config and parameters that the blocks of LSTM and GRU have in common. */
import type { BlockParameter } from '@mamba/core';
import { checkBoolean, checkInteger, checkOptions } from '@mamba/core/toolkit';

export interface RecurrentConfig {
  /** Width of the hidden state. */
  readonly dHidden: number;
  /** Whether both products have biases. Default true, as in PyTorch. */
  readonly bias?: boolean | undefined;
}

export function checkRecurrent(origin: string, config: RecurrentConfig): void {
  checkOptions(origin, config, ['kind', 'dHidden', 'bias']);
  checkInteger(`${origin}.dHidden`, config.dHidden, 1, 2 ** 20);
  if (config.bias !== undefined) checkBoolean(`${origin}.bias`, config.bias);
}

/**
 * The weights under PyTorch's names, each uniform within ±1 / √dHidden at first, as PyTorch's are, and the projection
 * `[dModel, dHidden]` of the output.
 * @param gates The number of gates, whose rows lie one after the other.
 */
export function recurrentParameters(
  { dHidden, bias = true }: RecurrentConfig,
  dModel: number,
  gates: number,
): readonly BlockParameter[] {
  const initial = { kind: 'uniform', bound: 1 / Math.sqrt(dHidden) } as const;
  const rows = gates * dHidden;
  const vector = (key: string): BlockParameter => ({ key, shape: [rows], role: 'vector', training: { initial } });
  return [
    { key: 'weightIh', shape: [rows, dModel], role: 'matrix', training: { initial } },
    { key: 'weightHh', shape: [rows, dHidden], role: 'matrix', training: { initial } },
    ...(bias ? [vector('biasIh'), vector('biasHh')] : []),
    { key: 'outProj', shape: [dModel, dHidden], role: 'matrix', training: { residual: true } },
  ];
}
