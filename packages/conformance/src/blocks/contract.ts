/** The parts of the suite that a kind of block of core adds to its definition. */
import type { BlockConfig, HostTensor, LayerSnapshot, Shape } from '@mamba/core';
import type fc from 'fast-check';
import type { BlockCaseOptions } from '../cases/block.ts';
import type { Case } from '../cases/case.ts';
import type { Draw } from '../cases/draw.ts';
import type { BadInput } from '../invariants/attempts.ts';
import type { KindOptions } from '../invariants/kind.ts';

/** The distributions of the random weights and states of a kind. */
export interface KindInputs<Config = BlockConfig> {
  /**
   * Optional. The values of one parameter. Default, and where it returns undefined: the initialisation in
   * `cases/weights.ts`.
   */
  parameter?(config: Config, key: string, draw: Draw): HostTensor | undefined;
  /** Optional. Standard deviation of the values in a random state, by slot. Default 1. */
  readonly stateDeviation?: Readonly<Record<string, number>> | undefined;
  /**
   * Optional. Keys of matrices whose results a norm takes, so that a factor of them changes no other activation:
   * `magnitude` of a model case multiplies them. Default: none.
   */
  readonly scalable?: readonly string[] | undefined;
}

/** The checks of a kind that are not the same for every kind. */
export interface KindSuite<Config = BlockConfig> {
  /** Blocks against the reference. */
  cases(): readonly Case[];
  /** Blocks of random sizes and options, by the name of their check. */
  properties(): Readonly<Record<string, fc.Arbitrary<Case>>>;
  /** Optional. Blocks that the laws of sequences are checked with, by the name of their checks. Default: none. */
  readonly sequences?: Readonly<Record<string, BlockCaseOptions['config']>> | undefined;
  /**
   * Optional. Blocks that every law is checked with, by themselves and in models, as kinds of other packages are.
   * Default: none, for a kind that is in the models of all laws.
   */
  readonly laws?: readonly KindOptions[] | undefined;
  /** Optional. Blocks that must be refused. Default: none. */
  readonly badInput?: readonly BadInput[] | undefined;
  /**
   * Optional. The state of the kind as `expected.safetensors` of a checkpoint holds it. Default: the file holds none.
   */
  readonly golden?: GoldenState<Config> | undefined;
}

export interface GoldenState<Config = BlockConfig> {
  /** Names of the tensors of a layer, which the file holds as `NAME.LAYER`. */
  readonly tensors: readonly string[];
  /** The values of these tensors. `before` is the state one token earlier, absent where there was no token. */
  values(
    config: Config,
    batch: number,
    state: LayerSnapshot,
    before: LayerSnapshot | undefined,
  ): Readonly<Record<string, GoldenValues>>;
}

export interface GoldenValues {
  readonly shape: Shape;
  readonly data: ArrayLike<number>;
}
