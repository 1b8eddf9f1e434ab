import type { BlockConfig, BlockKind } from '@mamba/core';
import { attentionSuite } from './attention/suite.ts';
import type { KindSuite } from './contract.ts';
import { mambaSuite } from './mamba/suite.ts';
import { mamba2Suite } from './mamba2/suite.ts';
import { mlpSuite } from './mlp/suite.ts';

const SUITES: { readonly [K in BlockKind]?: KindSuite<BlockConfig<K>> } = {
  mamba: mambaSuite,
  mamba2: mamba2Suite,
  mlp: mlpSuite,
  attention: attentionSuite,
};

/** The checks of every kind of core, in the order in which they run. */
export function kindSuites(): readonly KindSuite[] {
  return Object.values(SUITES) as readonly KindSuite[];
}

/** The checks of one kind; undefined for a kind that is not core's. */
export function kindSuite(kind: string): KindSuite | undefined {
  return SUITES[kind as BlockKind] as KindSuite | undefined;
}
