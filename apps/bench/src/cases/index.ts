import { blockSuite } from './block.ts';
import type { Suite } from './contract.ts';
import { modelSuite } from './model.ts';
import { scanSuite } from './scan.ts';

/** In the order in which they run. */
export const SUITES: readonly Suite[] = [scanSuite, blockSuite, modelSuite];
