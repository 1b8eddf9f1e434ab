import { batchSuite } from './batch.ts';
import { blockSuite } from './block.ts';
import { convSuite } from './causal-conv1d.ts';
import { contextSuite } from './context.ts';
import type { Suite } from './contract.ts';
import { linearSuite } from './linear.ts';
import { modelSuite } from './model.ts';
import { quantisedSuite } from './quantised.ts';
import { scanSuite } from './selective-scan.ts';
import { smallSuite } from './small.ts';
import { trainSuite } from './train.ts';

/** The suites, in the order in which they run. */
export const SUITES: readonly Suite[] = [
  scanSuite,
  convSuite,
  linearSuite,
  blockSuite,
  modelSuite,
  batchSuite,
  contextSuite,
  quantisedSuite,
  smallSuite,
  trainSuite,
];
