/**
 * The checks of any kind of block, of core or of another package: the numbers of the reference, and every law that a
 * model with it obeys.
 */
import { type ModelConfig, modelConfig, type StandaloneBlock } from '@mamba/core';
import { blockCase, blockSlots } from '../cases/block.ts';
import { modelCase } from '../cases/model.ts';
import type { Check } from '../runner/check.ts';
import { caseCheck } from '../runner/check-case.ts';
import { SMALL_MODEL } from '../suite/shapes.ts';
import { lawsOf } from './laws.ts';
import { stateLawsOf, transferLawsOf } from './model-state.ts';
import { block, model } from './sequences.ts';
import { gradientLaw } from './training.ts';

/** A kind of block outside core that the suite checks. */
export interface KindOptions {
  /** A small block of the kind with odd sizes, and its width: `{ kind, dModel, … }`. */
  readonly config: StandaloneBlock;
  /** The name in the ids of the checks. Default: the kind. */
  readonly name?: string | undefined;
  /** Standard deviation of the values in a random state, by slot. Default 1. */
  readonly stateDeviation?: Readonly<Record<string, number>> | undefined;
  /** The reason why the kind takes no resets, if it does not. Checks that need resets are skipped with this reason. */
  readonly noResets?: string | undefined;
}

/** The cases and laws of a kind: its numbers against the reference, alone and in a model beside Mamba blocks. */
export function kindChecks(options: KindOptions): readonly Check[] {
  const { config, name = config.kind, stateDeviation, noResets } = options;
  const length = 17;
  const stateful = blockSlots(config).length > 0;
  return [
    ...[1, 2, length].map((steps) => blockCase({ config, batch: 2, length: steps, id: `${name}-len${steps}` })),
    ...(stateful
      ? [blockCase({ config, batch: 2, length, initialState: true, stateDeviation, id: `${name}-initial-state` })]
      : []),
    ...(noResets === undefined ? [blockCase({ config, batch: 2, length, resets: true, id: `${name}-resets` })] : []),
    modelCase({ config: mixedModel(config), batch: 2, length, id: `${name}-mixed` }),
  ]
    .map(caseCheck)
    .concat(kindLaws(options));
}

/** The laws of a kind, without its numbers. */
export function kindLaws({ config, name = config.kind, noResets }: KindOptions): readonly Check[] {
  const mixed = mixedModel(config);
  return [
    ...lawsOf(block(`block-${name}`, config), noResets),
    ...lawsOf(model(`model-${name}`, mixed), noResets),
    ...stateLawsOf(`model-state-${name}`, mixed),
    ...transferLawsOf(name, mixed),
    gradientLaw(`model-${name}`, mixed, { resets: noResets === undefined }),
  ];
}

/** A Mamba block, then two of the kind. */
function mixedModel({ dModel, ...own }: StandaloneBlock): ModelConfig {
  return modelConfig({ ...SMALL_MODEL, dModel, blocks: [SMALL_MODEL.blocks[0]!, own, own] });
}
