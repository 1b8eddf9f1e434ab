/**
 * Laws of every operation: it does not change its inputs, it gives the same bits again, and disposing its results frees
 * all memory.
 */
import type { Backend, MemoryUse } from '@mamba/core';
import { SMALL_BLOCK } from '../blocks/mamba/shapes.ts';
import { adamwCase } from '../cases/adamw.ts';
import { addCase } from '../cases/add.ts';
import { argmaxCase } from '../cases/argmax.ts';
import { argsortCase } from '../cases/argsort.ts';
import { attentionBackwardCase, attentionCase } from '../cases/attention.ts';
import { blockCase } from '../cases/block.ts';
import type { Case, OperationCase, Prepared } from '../cases/case.ts';
import { uploadInputs } from '../cases/case.ts';
import { causalConv1dBackwardCase, causalConv1dCase } from '../cases/causal-conv1d.ts';
import { concatCase } from '../cases/concat.ts';
import { crossEntropyBackwardCase, crossEntropyCase } from '../cases/cross-entropy.ts';
import { embeddingBackwardCase, embeddingCase } from '../cases/embedding.ts';
import { gatedRmsNormBackwardCase, gatedRmsNormCase } from '../cases/gated-rms-norm.ts';
import { gradientNormCase } from '../cases/gradient-norm.ts';
import { layerNormBackwardCase, layerNormCase } from '../cases/layer-norm.ts';
import { linearBackwardCase, linearCase } from '../cases/linear.ts';
import { logProbBackwardCase, logProbCase } from '../cases/log-prob.ts';
import { modelCase } from '../cases/model.ts';
import { multiplyBackwardCase, multiplyCase } from '../cases/multiply.ts';
import { reshapeCase } from '../cases/reshape.ts';
import { rmsNormBackwardCase, rmsNormCase } from '../cases/rms-norm.ts';
import { ropeBackwardCase, ropeCase } from '../cases/rope.ts';
import { s4dBackwardCase, s4dCase } from '../cases/s4d.ts';
import { sampleCase } from '../cases/sample.ts';
import { selectiveScanBackwardCase, selectiveScanCase } from '../cases/selective-scan.ts';
import { sliceCase } from '../cases/slice.ts';
import { ssdScanBackwardCase, ssdScanCase } from '../cases/ssd-scan.ts';
import { writeRowsCase } from '../cases/write-rows.ts';
import type { Check } from '../runner/check.ts';
import { readOutputs } from '../runner/check-case.ts';
import type { Findings } from '../runner/report.ts';
import { SMALL_MODEL } from '../suite/shapes.ts';
import { invariant } from './invariant.ts';

const CALLS = 100;
/** A composition makes dozens of tensors a call, so that few calls show what stays of each. */
const COMPOSED_CALLS = 25;
/** The growth of a pool that is allowed for each call. More is a leak. */
const GROWTH = 2 ** 10;

export function memoryLaws(): readonly Check[] {
  const operations = smallOperations();
  const compositions: readonly Case[] = [
    blockCase({ config: SMALL_BLOCK, batch: 2, length: 3, initialState: true, resets: true, id: 'small' }),
    modelCase({ config: SMALL_MODEL, batch: 2, length: 3, resets: true, chunk: 2, id: 'small' }),
  ];
  return [
    ...operations.map((item) => perOperation(item, 'inputs-unmodified', inputsUnmodified)),
    ...operations.map((item) => perOperation(item, 'deterministic', deterministic)),
    ...operations.map((item) =>
      perOperation(item, 'dispose-frees', (findings, backend) => frees(findings, backend, item, CALLS)),
    ),
    ...compositions.map((item) =>
      perOperation(item, 'dispose-frees', (findings, backend) => frees(findings, backend, item, COMPOSED_CALLS)),
    ),
  ];
}

/** Checks that the number of tensors and their bytes are as before. */
export function sameMemory(findings: Findings, backend: Backend, before: MemoryUse): void {
  const after = backend.memory();
  findings.equal('memory.tensors', after.tensors, before.tensors);
  findings.equal('memory.bytes', after.bytes, before.bytes);
}

function smallOperations(): readonly OperationCase[] {
  const shape = { batch: 2, length: 7, dim: 5 };
  const heads = { batch: 2, length: 7, heads: 2, headDim: 4, state: 3 };
  const on = { initialState: true, resets: true };
  const items = [
    selectiveScanCase({ ...shape, state: 3, ...on }),
    s4dCase({ ...shape, state: 3, B: true, ...on }),
    causalConv1dCase({ ...shape, ...on }),
    ssdScanCase({ ...heads, ...on }),
    gatedRmsNormCase({ rows: 6, channels: 12, groupSize: 4 }),
    linearCase({ rows: 6, inputs: 9, outputs: 7, bias: true }),
    rmsNormCase({ rows: 6, channels: 9 }),
    layerNormCase({ rows: 6, channels: 9 }),
    embeddingCase({ rows: 11, channels: 5, ids: [2, 3] }),
    addCase({ shape: [3, 7] }),
    multiplyCase({ shape: [3, 7], activation: 'gelu' }),
    sliceCase({ shape: [3, 7, 5], axis: 1, start: 2, end: 5 }),
    reshapeCase({ shape: [3, 4, 5], to: [3, 20] }),
    argsortCase({ shape: [3, 20] }),
    concatCase({ shape: [3, 1, 5], axis: 1, extents: [2, 3] }),
    argmaxCase({ rows: [5], vocab: 9 }),
    sampleCase({ rows: [5], vocab: 9, topK: 5, topP: 0.9, minP: 0.01 }),
    logProbCase({ rows: [5], vocab: 9 }),
    selectiveScanBackwardCase({ ...shape, state: 3, ...on }),
    s4dBackwardCase({ ...shape, state: 3, B: true, ...on }),
    causalConv1dBackwardCase({ ...shape, ...on }),
    ssdScanBackwardCase({ ...heads, ...on }),
    gatedRmsNormBackwardCase({ rows: 6, channels: 12, groupSize: 4 }),
    linearBackwardCase({ rows: 6, inputs: 9, outputs: 7, bias: true }),
    rmsNormBackwardCase({ rows: 6, channels: 9 }),
    layerNormBackwardCase({ rows: 6, channels: 9 }),
    embeddingBackwardCase({ rows: 11, channels: 5, ids: [2, 3] }),
    multiplyBackwardCase({ shape: [3, 7], activation: 'gelu' }),
    logProbBackwardCase({ rows: [5], vocab: 9 }),
    crossEntropyCase({ rows: [5], vocab: 9, labelSmoothing: 0.1 }),
    crossEntropyBackwardCase({ rows: [5], vocab: 9, labelSmoothing: 0.1 }),
    gradientNormCase({ shapes: [[3, 7], [5]] }),
    adamwCase({ shape: [3, 7], norm: 5, maxNorm: 1 }),
    attentionCase({ batch: 1, queries: 3, keys: 40, heads: 4, kvHeads: 2, headDim: 8, window: 9 }),
    attentionBackwardCase({ batch: 1, queries: 3, keys: 40, heads: 4, kvHeads: 2, headDim: 8, window: 9 }),
    ropeCase({ batch: 2, length: 3, heads: 2, headDim: 8, positions: (token) => 7 * token }),
    ropeBackwardCase({ batch: 2, length: 3, heads: 2, headDim: 8 }),
    writeRowsCase({ batch: 2, capacity: 9, length: 2, channels: 6, offsets: [3, 5] }),
  ];
  return items as readonly OperationCase[];
}

function perOperation<C extends Case>(
  item: C,
  name: string,
  body: (findings: Findings, backend: Backend, item: C) => Promise<void>,
): Check {
  const stem = item.id.split('/')[0]!;
  return invariant(`calls/${stem}/${name}`, async (findings, { backend }) => {
    const support = item.supports(backend);
    if (!support.supported) return { skipped: support.reason };
    await body(findings, backend, item);
    return undefined;
  });
}

async function inputsUnmodified(findings: Findings, backend: Backend, item: OperationCase): Promise<void> {
  const tensors = uploadInputs(backend, item.build());
  try {
    const before = await Promise.all(Object.values(tensors).map((tensor) => backend.read(tensor)));
    await readOutputs(backend, item.call(backend, tensors));
    for (const [index, [name, tensor]] of Object.entries(tensors).entries())
      findings.identical(name, await backend.read(tensor), before[index]!);
  } finally {
    for (const tensor of Object.values(tensors)) tensor.dispose();
  }
}

async function deterministic(findings: Findings, backend: Backend, item: OperationCase): Promise<void> {
  const prepared = await item.prepare(backend);
  try {
    const once = await readOutputs(backend, prepared.run());
    const again = await readOutputs(backend, prepared.run());
    for (const [name, values] of Object.entries(once)) findings.identical(name, again[name] ?? [], values);
  } finally {
    prepared.dispose();
  }
}

/** Checks that `peakBytes` sees the results of a call, and that it forgets them with the call. */
function watches(findings: Findings, backend: Backend, { run }: Prepared): void {
  const idle = backend.memory().bytes;
  let held = 0;
  const peak = backend.peakBytes(() => {
    const outputs = run();
    held = backend.memory().bytes;
    dispose(outputs);
  });
  findings.holds('peakBytes', peak >= held && held >= idle, `${peak} bytes at most, ${held} with the results`);
  findings.equal(
    'peakBytes of nothing',
    backend.peakBytes(() => {}),
    idle,
  );
}

async function frees(findings: Findings, backend: Backend, item: Case, calls: number): Promise<void> {
  const empty = backend.memory();
  const prepared = await item.prepare(backend);
  try {
    dispose(prepared.run());
    await backend.synchronize();
    const before = backend.memory();
    for (let call = 0; call < calls; call++) dispose(prepared.run());
    await backend.synchronize();
    sameMemory(findings, backend, before);
    watches(findings, backend, prepared);
    // Pools may grow to the need of a call, but not with the number of calls.
    const { reserved } = backend.memory();
    const bound = 2 * before.reserved + calls * GROWTH;
    findings.holds(
      'memory.reserved',
      reserved <= bound,
      `${reserved} bytes after ${calls} calls, ${before.reserved} after one`,
    );
  } finally {
    prepared.dispose();
  }
  sameMemory(findings, backend, empty);
}

function dispose(outputs: Readonly<Record<string, { dispose(): void }>>): void {
  for (const tensor of Object.values(outputs)) tensor.dispose();
}
