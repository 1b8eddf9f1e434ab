/** The cases of the suite. */
import { kindSuites } from '../blocks/suites.ts';
import type { Case } from '../cases/case.ts';
import { attentionBackwardSuite, attentionSuite, ropeBackwardSuite, ropeSuite, writeRowsSuite } from './attention.ts';
import { causalConv1dBackwardSuite, causalConv1dSuite } from './causal-conv1d.ts';
import { modelSuite } from './model.ts';
import { s4dBackwardSuite, s4dSuite } from './s4d.ts';
import { selectiveScanBackwardSuite, selectiveScanSuite } from './selective-scan.ts';
import {
  addSuite,
  argmaxSuite,
  argsortSuite,
  concatSuite,
  embeddingSuite,
  layerNormSuite,
  linearSuite,
  logProbSuite,
  multiplySuite,
  reshapeSuite,
  rmsNormSuite,
  sampleSuite,
  sliceSuite,
} from './small-operations.ts';
import { gatedRmsNormBackwardSuite, gatedRmsNormSuite, ssdScanBackwardSuite, ssdScanSuite } from './ssd-scan.ts';
import {
  adamwSuite,
  crossEntropyBackwardSuite,
  crossEntropySuite,
  embeddingBackwardSuite,
  gradientNormSuite,
  layerNormBackwardSuite,
  linearBackwardSuite,
  logProbBackwardSuite,
  multiplyBackwardSuite,
  rmsNormBackwardSuite,
} from './training.ts';

/** The cases of all operations, blocks and models, which are the section `cases`. */
export function suiteCases(): readonly Case[] {
  return [
    ...selectiveScanSuite(),
    ...s4dSuite(),
    ...causalConv1dSuite(),
    ...linearSuite(),
    ...rmsNormSuite(),
    ...layerNormSuite(),
    ...embeddingSuite(),
    ...addSuite(),
    ...multiplySuite(),
    ...sliceSuite(),
    ...reshapeSuite(),
    ...argsortSuite(),
    ...concatSuite(),
    ...argmaxSuite(),
    ...sampleSuite(),
    ...logProbSuite(),
    ...ssdScanSuite(),
    ...gatedRmsNormSuite(),
    ...selectiveScanBackwardSuite(),
    ...s4dBackwardSuite(),
    ...ssdScanBackwardSuite(),
    ...gatedRmsNormBackwardSuite(),
    ...causalConv1dBackwardSuite(),
    ...linearBackwardSuite(),
    ...rmsNormBackwardSuite(),
    ...layerNormBackwardSuite(),
    ...embeddingBackwardSuite(),
    ...multiplyBackwardSuite(),
    ...logProbBackwardSuite(),
    ...crossEntropySuite(),
    ...crossEntropyBackwardSuite(),
    ...gradientNormSuite(),
    ...adamwSuite(),
    ...attentionSuite(),
    ...attentionBackwardSuite(),
    ...ropeSuite(),
    ...ropeBackwardSuite(),
    ...writeRowsSuite(),
    ...kindSuites().flatMap((kind) => kind.cases()),
    ...modelSuite(),
  ];
}
