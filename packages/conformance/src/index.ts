/**
 * The public API: builders of cases, which the bench uses too, the suite, and a runner. `@mamba/conformance/vitest` is
 * the entry point for vitest.
 * @module
 */
export { type AdamwCaseOptions, adamwCase } from './cases/adamw.ts';
export { type AddCaseOptions, addCase } from './cases/add.ts';
export { type ArgmaxCaseOptions, argmaxCase } from './cases/argmax.ts';
export { type ArgsortCaseOptions, argsortCase } from './cases/argsort.ts';
export { type AttentionCaseOptions, attentionBackwardCase, attentionCase } from './cases/attention.ts';
export { type BlockCaseOptions, blockCase } from './cases/block.ts';
export type { Case, Input, Inputs, Named, OperationCase, Outputs, Prepared, Sizes, Tolerance } from './cases/case.ts';
export {
  type CausalConv1dCaseOptions,
  causalConv1dBackwardCase,
  causalConv1dCase,
} from './cases/causal-conv1d.ts';
export { type ConcatCaseOptions, concatCase } from './cases/concat.ts';
export {
  type CrossEntropyCaseOptions,
  crossEntropyBackwardCase,
  crossEntropyCase,
} from './cases/cross-entropy.ts';
export { type EmbeddingCaseOptions, embeddingBackwardCase, embeddingCase } from './cases/embedding.ts';
export {
  type GatedRmsNormCaseOptions,
  gatedRmsNormBackwardCase,
  gatedRmsNormCase,
} from './cases/gated-rms-norm.ts';
export { type GradientNormCaseOptions, gradientNormCase } from './cases/gradient-norm.ts';
export { type LayerNormCaseOptions, layerNormBackwardCase, layerNormCase } from './cases/layer-norm.ts';
export {
  type LinearBackwardCaseOptions,
  type LinearCaseOptions,
  linearBackwardCase,
  linearCase,
} from './cases/linear.ts';
export { type LogProbCaseOptions, logProbBackwardCase, logProbCase } from './cases/log-prob.ts';
export { MODEL as MODEL_TOLERANCE, type ModelCaseOptions, modelCase } from './cases/model.ts';
export { type MultiplyCaseOptions, multiplyBackwardCase, multiplyCase } from './cases/multiply.ts';
export { REGIMES, type Regime } from './cases/regimes.ts';
export { type ReshapeCaseOptions, reshapeCase } from './cases/reshape.ts';
export { type RmsNormCaseOptions, rmsNormBackwardCase, rmsNormCase } from './cases/rms-norm.ts';
export { type RopeCaseOptions, ropeBackwardCase, ropeCase } from './cases/rope.ts';
export { type S4dCaseOptions, s4dBackwardCase, s4dCase } from './cases/s4d.ts';
export { type SampleCaseOptions, sampleCase } from './cases/sample.ts';
export {
  type Projection,
  type SelectiveScanCaseOptions,
  type SelectiveScanShape,
  selectiveScanBackwardCase,
  selectiveScanCase,
} from './cases/selective-scan.ts';
export { type SliceCaseOptions, sliceCase } from './cases/slice.ts';
export { type SsdScanCaseOptions, type SsdScanShape, ssdScanBackwardCase, ssdScanCase } from './cases/ssd-scan.ts';
export { seededWeights } from './cases/weights.ts';
export { type WriteRowsCaseOptions, writeRowsCase } from './cases/write-rows.ts';
export { checkGolden } from './golden/check-golden.ts';
export { checkCheckpoint } from './golden/checkpoint.ts';
export type {
  GoldenComposition,
  GoldenCompositionCase,
  GoldenCompositions,
} from './golden/compositions/golden-composition.ts';
export { MODEL_GRADIENTS as MODEL_GRADIENTS_TOLERANCE } from './golden/gradients.ts';
export { type KindOptions, kindChecks } from './invariants/kind.ts';
export { Random } from './random.ts';
export type { Check, CheckContext, Skipped } from './runner/check.ts';
export { checkCase } from './runner/check-case.ts';
export type { KnownGap } from './runner/gaps.ts';
export { describeReport, type TensorReport } from './runner/report.ts';
export { type CheckResult, type RunOptions, type RunSummary, runConformance } from './runner/run.ts';
export { SECTIONS, type Section, type SuiteOptions, suite } from './runner/suite.ts';
export { suiteCases } from './suite/index.ts';
