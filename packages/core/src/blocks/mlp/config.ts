import type { Activation } from '../../contract/operations.ts';
import { checkBoolean, checkInteger, checkOneOf, checkOptions } from '../../operations/check.ts';

/** Sizes and options of a feed-forward block. */
export interface MlpConfig {
  /** Width of the hidden layer. */
  readonly dHidden: number;
  /**
   * `silu` with a gate is SwiGLU; `gelu` is the exact GELU and `gelu-tanh` GPT-2's approximation; `relu2` is max(x,
   * 0)².
   */
  readonly activation: Extract<Activation, 'silu' | 'gelu' | 'gelu-tanh' | 'relu2'>;
  /** Whether the activation is of a gate that multiplies a second projection. Default: true with silu, else false. */
  readonly gated?: boolean | undefined;
  /** Whether the projections have biases. Default false. */
  readonly bias?: boolean | undefined;
}

const MLP_ACTIVATIONS = ['silu', 'gelu', 'gelu-tanh', 'relu2'] as const satisfies MlpConfig['activation'][];

/** Whether an MLP has a gate: where the config does not say, those with silu do. */
export function isGated({ activation, gated = activation === 'silu' }: MlpConfig): boolean {
  return gated;
}

export function checkMlp(origin: string, config: MlpConfig): void {
  checkOptions(origin, config, ['kind', 'dHidden', 'activation', 'gated', 'bias']);
  checkInteger(`${origin}.dHidden`, config.dHidden, 1, 2 ** 24);
  checkOneOf(`${origin}.activation`, config.activation, MLP_ACTIVATIONS);
  for (const key of ['gated', 'bias'] as const)
    if (config[key] !== undefined) checkBoolean(`${origin}.${key}`, config[key]);
}
