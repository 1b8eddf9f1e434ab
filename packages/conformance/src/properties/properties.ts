/**
 * Compares each operation with the reference for random shapes and options. A failure is shrunk to the smallest call
 * that shows it.
 */
import fc from 'fast-check';
import { kindSuites } from '../blocks/suites.ts';
import { addCase } from '../cases/add.ts';
import { argmaxCase } from '../cases/argmax.ts';
import type { Case } from '../cases/case.ts';
import { causalConv1dCase } from '../cases/causal-conv1d.ts';
import { concatCase } from '../cases/concat.ts';
import { embeddingCase } from '../cases/embedding.ts';
import { gatedRmsNormCase } from '../cases/gated-rms-norm.ts';
import { layerNormCase } from '../cases/layer-norm.ts';
import { linearCase } from '../cases/linear.ts';
import { logProbCase } from '../cases/log-prob.ts';
import { multiplyCase } from '../cases/multiply.ts';
import { REGIMES } from '../cases/regimes.ts';
import { rmsNormCase } from '../cases/rms-norm.ts';
import { sampleCase } from '../cases/sample.ts';
import { type Projection, selectiveScanCase } from '../cases/selective-scan.ts';
import { sliceCase } from '../cases/slice.ts';
import { ssdScanCase } from '../cases/ssd-scan.ts';
import type { Check, CheckContext } from '../runner/check.ts';
import { isSkipped } from '../runner/check.ts';
import { checkCase } from '../runner/check-case.ts';
import { describeReport, Findings } from '../runner/report.ts';
import { extent, flag, seeds, shape } from './arbitraries.ts';

export interface PropertyOptions {
  /** The seed of the draws. Default: a fixed one. */
  readonly seed?: number | undefined;
  /** Number of draws for each property. Default 40. */
  readonly runs?: number | undefined;
}

const SEED = 20231201;

export function propertyChecks(options: PropertyOptions = {}): readonly Check[] {
  return Object.entries(properties()).map(([stem, cases]) => propertyCheck(stem, cases, options));
}

function propertyCheck(stem: string, cases: fc.Arbitrary<Case>, { seed = SEED, runs = 40 }: PropertyOptions): Check {
  const id = `properties/${stem}`;
  return {
    id,
    source: 'properties',
    case: id,
    async run(context) {
      const property = fc.asyncProperty(cases, (item) => agrees(item, context));
      const details = await fc.check(property, { seed, numRuns: runs });
      const findings = new Findings('properties', id, context.backend.precision);
      findings.holds(`${runs} draws`, !details.failed, details.failed ? report(details) : '');
      return findings.reports;
    },
  };
}

async function agrees(item: Case, context: CheckContext): Promise<void> {
  const outcome = await checkCase(item, context, 'properties');
  if (isSkipped(outcome)) return;
  const failed = outcome.filter(({ pass }) => !pass);
  if (failed.length > 0) throw new Error(failed.map(describeReport).join('\n'));
}

function report({
  counterexample,
  seed,
  counterexamplePath,
  errorInstance,
  numShrinks,
}: fc.RunDetails<[Case]>): string {
  const item = counterexample?.[0];
  const call = item && `${item.operation} ${JSON.stringify(item.sizes)}, inputs of seed ${item.seed}`;
  const cause = errorInstance instanceof Error ? errorInstance.message : String(errorInstance);
  return `${call}: ${cause} (draws of seed ${seed}, path ${counterexamplePath}, ${numShrinks} shrinks)`;
}

const projection = fc.constantFrom<Projection>('grouped', 'ungrouped', 'constant');

function properties(): Readonly<Record<string, fc.Arbitrary<Case>>> {
  return {
    'selective-scan': selectiveScans(),
    'causal-conv1d': fc
      .record({
        batch: extent(3),
        length: extent(40),
        dim: extent(20),
        width: fc.integer({ min: 2, max: 8 }),
        bias: flag,
        activation: fc.constantFrom('none' as const, 'silu' as const),
        initialState: flag,
        resets: flag,
        seed: seeds,
      })
      .map(causalConv1dCase),
    'ssd-scan': ssdScans(),
    'gated-rms-norm': gatedNorms(),
    linear: fc
      .record({ rows: shape(3, 9), inputs: extent(70), outputs: extent(70), bias: flag, matrix: flag, seed: seeds })
      .map(linearCase),
    'rms-norm': fc
      .record({
        rows: shape(2, 9),
        channels: extent(70),
        weight: flag,
        eps: fc.constantFrom(1e-5, 1e-6, 0.1),
        seed: seeds,
      })
      .map(rmsNormCase),
    'layer-norm': fc
      .record({
        rows: shape(2, 9),
        channels: extent(70),
        weight: flag,
        bias: flag,
        eps: fc.constantFrom(1e-5, 1e-6, 0.1),
        mean: fc.constantFrom(0, -3, 1e4),
        seed: seeds,
      })
      .map(layerNormCase),
    embedding: fc
      .record({ rows: extent(40), channels: extent(40), ids: shape(3, 5), matrix: flag, seed: seeds })
      .map(embeddingCase),
    add: fc.record({ shape: shape(4, 9), seed: seeds }).map(addCase),
    multiply: fc
      .record({
        shape: shape(4, 9),
        second: flag,
        activation: fc.constantFrom(
          'none' as const,
          'silu' as const,
          'gelu' as const,
          'gelu-tanh' as const,
          'relu2' as const,
          'sigmoid' as const,
          'tanh' as const,
          'elu-plus-one' as const,
        ),
        scale: fc.constantFrom(undefined, -0.7, 12),
        seed: seeds,
      })
      .map(multiplyCase),
    slice: slices(),
    concat: fc
      .tuple(shape(4, 6), fc.array(extent(5), { minLength: 1, maxLength: 4 }), fc.nat(), flag, seeds)
      .map(([sizes, extents, axis, int32, seed]) =>
        concatCase({ shape: sizes, axis: axis % sizes.length, extents, int32, seed }),
      ),
    argmax: fc.record({ rows: shape(2, 6), vocab: extent(200), seed: seeds }).map(argmaxCase),
    sample: fc
      .record({
        rows: shape(2, 6),
        vocab: extent(100),
        temperature: fc.constantFrom(0, 0.5, 1, 1.7),
        topK: extent(120),
        topP: fc.constantFrom(0, 0.4, 0.9, 1),
        minP: fc.constantFrom(0, 0.02, 0.5, 1),
        seed: seeds,
      })
      .map(sampleCase),
    'log-prob': fc
      .record({ rows: shape(2, 6), vocab: extent(200), scale: fc.constantFrom(0, 1, 10), seed: seeds })
      .map(logProbCase),
    ...Object.assign({}, ...kindSuites().map((kind) => kind.properties())),
  };
}

function selectiveScans(): fc.Arbitrary<Case> {
  return fc
    .record({
      batch: extent(3),
      length: extent(40),
      channels: extent(9),
      groups: extent(4),
      state: extent(20),
      B: projection,
      C: projection,
      D: flag,
      z: flag,
      deltaBias: flag,
      deltaSoftplus: flag,
      initialState: flag,
      resets: flag,
      discretization: fc.constantFrom('euler' as const, 'zoh' as const, 'bilinear' as const),
      regime: fc.constantFrom(...REGIMES),
      seed: seeds,
    })
    .map(({ channels, groups: drawn, ...options }) => {
      const ungrouped = options.B === 'ungrouped' || options.C === 'ungrouped';
      const groups = ungrouped ? 1 : drawn;
      return selectiveScanCase({ ...options, groups, dim: channels * groups });
    });
}

function ssdScans(): fc.Arbitrary<Case> {
  return fc
    .record({
      batch: extent(3),
      length: extent(70),
      headsOfGroup: extent(3),
      groups: extent(3),
      headDim: extent(20),
      state: extent(20),
      flat: flag,
      D: fc.constantFrom(false, true, 'wide' as const),
      z: flag,
      dtBias: flag,
      dtSoftplus: flag,
      dtLimits: fc.constantFrom(undefined, [0.01, 0.5] as const),
      initialState: flag,
      resets: flag,
      regime: fc.constantFrom(...REGIMES),
      seed: seeds,
    })
    .map(({ headsOfGroup, ...options }) => ssdScanCase({ ...options, heads: headsOfGroup * options.groups }));
}

function gatedNorms(): fc.Arbitrary<Case> {
  return fc
    .record({
      rows: shape(2, 9),
      groups: extent(4),
      groupSize: extent(30),
      z: flag,
      weight: flag,
      normBeforeGate: flag,
      eps: fc.constantFrom(1e-5, 0.1),
      seed: seeds,
    })
    .map(({ groups, ...options }) => gatedRmsNormCase({ ...options, channels: groups * options.groupSize }));
}

function slices(): fc.Arbitrary<Case> {
  return fc
    .tuple(shape(4, 8), fc.nat(), fc.nat(), fc.nat(), flag, seeds)
    .map(([sizes, axisDrawn, startDrawn, lengthDrawn, int32, seed]) => {
      const axis = axisDrawn % sizes.length;
      const start = startDrawn % sizes[axis]!;
      const end = start + 1 + (lengthDrawn % (sizes[axis]! - start));
      return sliceCase({ shape: sizes, axis, start, end, int32, seed });
    });
}
