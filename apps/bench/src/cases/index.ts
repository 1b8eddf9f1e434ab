import { batchSuite } from './batch.ts';
import { blockSuite } from './block.ts';
import { contextSuite } from './context.ts';
import type { Suite } from './contract.ts';
import { convSuite } from './conv.ts';
import { linearSuite } from './linear.ts';
import { modelSuite } from './model.ts';
import { quantisedSuite } from './quantised.ts';
import { scanSuite } from './scan.ts';

/** In the order in which they run. */
export const SUITES: readonly Suite[] = [
  scanSuite,
  convSuite,
  linearSuite,
  blockSuite,
  modelSuite,
  batchSuite,
  contextSuite,
  quantisedSuite,
];
