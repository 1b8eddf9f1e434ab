/** Calls that must be refused with the right code, without allocating or changing anything. */
import {
  type Backend,
  createModel,
  type ErrorCode,
  type HostTensor,
  isMambaError,
  MambaError,
  type SnapshotBlock,
  type Tensor,
} from '@mamba/core';
import { kindSuites } from '../blocks/suites.ts';
import { floats, integers } from '../cases/host.ts';
import { seededWeights } from '../cases/weights.ts';
import type { Check } from '../runner/check.ts';
import type { Findings } from '../runner/report.ts';
import { SMALL_MODEL } from '../suite/shapes.ts';
import { withArena } from './arena.ts';
import { type Attempt, type BadInput, Inputs, untyped } from './attempts.ts';
import { invariant } from './invariant.ts';
import { sameMemory } from './memory.ts';
import { modelIds, openModel } from './sequences.ts';

export function badInputLaws(): readonly Check[] {
  return [
    ...[...ATTEMPTS, ...kindSuites().flatMap(({ badInput = [] }) => badInput)].map(([name, code, prepare]) =>
      invariant(`bad-input/${name}`, (findings, { backend, reference }) =>
        withArena(backend, (arena) =>
          withArena(reference, (other) => refused(findings, code, prepare(new Inputs(arena, other)), backend)),
        ),
      ),
    ),
    failedForward(),
    failedLoading(),
  ];
}

const BAD = 'invalid-argument';

const ATTEMPTS: readonly BadInput[] = [
  ['scan-rank', BAD, (i) => i.scan()({ u: i.floats(8, 6) })],
  ['scan-delta-shape', BAD, (i) => i.scan()({ delta: i.floats(2, 4, 5) })],
  ['scan-a-shape', BAD, (i) => i.scan()({ A: i.floats(5, 3) })],
  ['scan-b-state', BAD, (i) => i.scan()({ B: i.floats(2, 4, 1, 2) })],
  ['scan-b-length', BAD, (i) => i.scan()({ B: i.floats(2, 3, 1, 3) })],
  ['scan-b-rank', BAD, (i) => i.scan()({ B: i.floats(2, 2, 2, 2, 3) })],
  ['scan-constant-b-shape', BAD, (i) => i.scan()({ B: i.floats(3, 6) })],
  ['scan-groups-do-not-divide', BAD, (i) => i.scan()({ B: i.floats(2, 4, 4, 3), C: i.floats(2, 4, 4, 3) })],
  ['scan-groups-differ', BAD, (i) => i.scan()({ B: i.floats(2, 4, 2, 3), C: i.floats(2, 4, 3, 3) })],
  ['scan-u-dtype', BAD, (i) => i.scan()({ u: i.ids([2, 4, 6]) })],
  ['scan-a-dtype', BAD, (i) => i.scan()({ A: i.ids([6, 3]) })],
  ['scan-d-shape', BAD, (i) => i.scan()({}, { D: i.floats(5) })],
  ['scan-z-shape', BAD, (i) => i.scan()({}, { z: i.floats(2, 4, 5) })],
  ['scan-bias-rank', BAD, (i) => i.scan()({}, { deltaBias: i.floats(6, 1) })],
  ['scan-initial-state-shape', BAD, (i) => i.scan()({}, { initialState: i.floats(1, 6, 3) })],
  ['scan-resets-shape', BAD, (i) => i.scan()({}, { resets: i.ids([2, 3]) })],
  ['scan-resets-dtype', BAD, (i) => i.scan()({}, { resets: i.floats(2, 4) })],
  ['scan-unknown-option', BAD, (i) => i.scan()({}, { delta_bias: i.floats(6) })],
  ['scan-unknown-discretization', BAD, (i) => i.scan()({}, { discretization: 'tustin' })],
  ['scan-softplus-not-boolean', BAD, (i) => i.scan()({}, { deltaSoftplus: 1 })],
  ['scan-null', BAD, (i) => i.scan()({ A: untyped<Tensor>(null) })],
  ['scan-host-tensor', BAD, (i) => i.scan()({ A: untyped<Tensor>(new Float32Array(18)) })],
  ['scan-foreign', 'foreign', (i) => foreignScan(i)],
  ['scan-disposed', 'disposed', (i) => i.scan()({ delta: i.disposed(2, 4, 6) })],
  ['scan-disposed-option', 'disposed', (i) => i.scan()({}, { D: i.disposed(6) })],
  ['ssd-x-rank', BAD, (i) => i.ssd({ x: i.floats(2, 4) })],
  ['ssd-x-heads', BAD, (i) => i.ssd({ x: i.floats(2, 4, 3, 3) })],
  ['ssd-flat-x-heads', BAD, (i) => i.ssd({ x: i.floats(2, 4, 7) })],
  ['ssd-dt-shape', BAD, (i) => i.ssd({ dt: i.floats(2, 4, 3) })],
  ['ssd-a-rank', BAD, (i) => i.ssd({ A: i.floats(2, 4) })],
  ['ssd-b-length', BAD, (i) => i.ssd({ B: i.floats(2, 3, 1, 4), C: i.floats(2, 3, 1, 4) })],
  ['ssd-c-differs', BAD, (i) => i.ssd({ C: i.floats(2, 4, 1, 5) })],
  ['ssd-groups-do-not-divide', BAD, (i) => i.ssd({ B: i.floats(2, 4, 4, 2), C: i.floats(2, 4, 4, 2) })],
  ['ssd-groups-superfluous', BAD, (i) => i.ssd({}, { groups: 1 })],
  ['ssd-groups-of-states', BAD, (i) => i.ssd({ B: i.floats(2, 4, 5), C: i.floats(2, 4, 5) }, { groups: 2 })],
  ['ssd-d-shape', BAD, (i) => i.ssd({}, { D: i.floats(3) })],
  ['ssd-z-shape', BAD, (i) => i.ssd({}, { z: i.floats(2, 4, 6) })],
  ['ssd-limits-reversed', BAD, (i) => i.ssd({}, { dtLimits: [0.2, 0.1] })],
  ['ssd-limits-negative', BAD, (i) => i.ssd({}, { dtLimits: [-1, 1] })],
  ['ssd-limits-nan', BAD, (i) => i.ssd({}, { dtLimits: [0, Number.NaN] })],
  ['ssd-limits-number', BAD, (i) => i.ssd({}, { dtLimits: 0.1 })],
  ['ssd-initial-state-shape', BAD, (i) => i.ssd({}, { initialState: i.floats(2, 2, 4, 3) })],
  ['ssd-resets-dtype', BAD, (i) => i.ssd({}, { resets: i.floats(2, 4) })],
  ['ssd-unknown-option', BAD, (i) => i.ssd({}, { dt_bias: i.floats(2) })],
  ['ssd-null', BAD, (i) => i.ssd({ A: untyped<Tensor>(null) })],
  ['ssd-disposed', 'disposed', (i) => i.ssd({ dt: i.disposed(2, 4, 2) })],
  [
    'gated-rms-norm-group',
    BAD,
    (i) => pair(i.floats(3, 6), i.floats(3, 6), (x, z) => i.backend.gatedRmsNorm(x, z, { groupSize: 4 })),
  ],
  ['gated-rms-norm-z', BAD, (i) => pair(i.floats(3, 6), i.floats(3, 5), (x, z) => i.backend.gatedRmsNorm(x, z))],
  [
    'gated-rms-norm-unknown-option',
    BAD,
    (i) => pair(i.floats(3, 6), i.floats(3, 6), (x, z) => i.backend.gatedRmsNorm(x, z, untyped({ gateFirst: true }))),
  ],
  ['conv-rank', BAD, (i) => i.conv({ x: i.floats(4, 6) })],
  ['conv-weight-shape', BAD, (i) => i.conv({ weight: i.floats(5, 4) })],
  ['conv-width-1', BAD, (i) => i.conv({ weight: i.floats(6, 1) })],
  ['conv-bias-shape', BAD, (i) => i.conv({ bias: i.floats(5) })],
  ['conv-initial-state-width', BAD, (i) => i.conv({}, { initialState: i.floats(2, 6, 4) })],
  ['conv-unknown-activation', BAD, (i) => i.conv({}, { activation: 'swish' })],
  ['conv-unknown-option', BAD, (i) => i.conv({}, { silu: true })],
  ['conv-disposed', 'disposed', (i) => i.conv({ weight: i.disposed(6, 4) })],
  ['linear-inner-extents', BAD, (i) => pair(i.floats(3, 5), i.floats(4, 6), (x, w) => i.backend.linear(x, w))],
  ['linear-weight-rank', BAD, (i) => pair(i.floats(3, 5), i.floats(5), (x, w) => i.backend.linear(x, w))],
  [
    'linear-bias',
    BAD,
    (i) => triple(i.floats(3, 5), i.floats(4, 5), i.floats(5), (x, w, b) => i.backend.linear(x, w, b)),
  ],
  ['linear-dtype', BAD, (i) => pair(i.ids([3, 5]), i.floats(4, 5), (x, w) => i.backend.linear(x, w))],
  ['rms-norm-weight', BAD, (i) => pair(i.floats(3, 5), i.floats(4), (x, weight) => i.backend.rmsNorm(x, { weight }))],
  ['rms-norm-eps', BAD, (i) => pair(i.floats(3, 5), i.floats(5), (x) => i.backend.rmsNorm(x, { eps: -1 }))],
  ['rms-norm-eps-nan', BAD, (i) => pair(i.floats(3, 5), i.floats(5), (x) => i.backend.rmsNorm(x, { eps: Number.NaN }))],
  [
    'rms-norm-unknown-option',
    BAD,
    (i) => pair(i.floats(3, 5), i.floats(5), (x, bias) => i.backend.rmsNorm(x, untyped({ bias }))),
  ],
  [
    'layer-norm-weight',
    BAD,
    (i) => pair(i.floats(3, 5), i.floats(4), (x, weight) => i.backend.layerNorm(x, { weight })),
  ],
  ['layer-norm-bias', BAD, (i) => pair(i.floats(3, 5), i.floats(3, 5), (x, bias) => i.backend.layerNorm(x, { bias }))],
  [
    'layer-norm-bias-dtype',
    BAD,
    (i) => pair(i.floats(3, 5), i.ids([5]), (x, bias) => i.backend.layerNorm(x, { bias })),
  ],
  ['layer-norm-dtype', BAD, (i) => single(i.ids([3, 5]), (x) => i.backend.layerNorm(x))],
  ['layer-norm-eps', BAD, (i) => single(i.floats(3, 5), (x) => i.backend.layerNorm(x, { eps: -1 }))],
  [
    'layer-norm-unknown-option',
    BAD,
    (i) => single(i.floats(3, 5), (x) => i.backend.layerNorm(x, untyped({ gain: 2 }))),
  ],
  [
    'layer-norm-disposed',
    'disposed',
    (i) => pair(i.floats(3, 5), i.disposed(5), (x, bias) => i.backend.layerNorm(x, { bias })),
  ],
  ['embedding-id-too-large', BAD, (i) => pair(i.floats(7, 3), i.ids([2], 7), (t, ids) => i.backend.embedding(t, ids))],
  ['embedding-id-negative', BAD, (i) => pair(i.floats(7, 3), i.ids([2], -1), (t, ids) => i.backend.embedding(t, ids))],
  ['embedding-float-ids', BAD, (i) => pair(i.floats(7, 3), i.floats(2), (t, ids) => i.backend.embedding(t, ids))],
  ['add-shapes', BAD, (i) => pair(i.floats(2, 3), i.floats(3, 2), (a, b) => i.backend.add(a, b))],
  ['add-dtypes', BAD, (i) => pair(i.floats(2, 3), i.ids([2, 3]), (a, b) => i.backend.add(a, b))],
  ['add-disposed', 'disposed', (i) => pair(i.floats(2, 3), i.disposed(2, 3), (a, b) => i.backend.add(a, b))],
  ['multiply-shapes', BAD, (i) => pair(i.floats(2, 3), i.floats(3), (a, b) => i.backend.multiply(a, b))],
  ['multiply-dtypes', BAD, (i) => pair(i.floats(2, 3), i.ids([2, 3]), (a, b) => i.backend.multiply(a, b))],
  ['multiply-integers', BAD, (i) => single(i.ids([2, 3]), (a) => i.backend.multiply(a, undefined, { scale: 2 }))],
  ['multiply-null', BAD, (i) => single(i.floats(2, 3), (a) => i.backend.multiply(a, untyped(null)))],
  [
    'multiply-unknown-activation',
    BAD,
    (i) => single(i.floats(2, 3), (a) => i.backend.multiply(a, a, untyped({ activation: 'swish' }))),
  ],
  ['multiply-scale-nan', BAD, (i) => single(i.floats(2, 3), (a) => i.backend.multiply(a, a, { scale: Number.NaN }))],
  [
    'multiply-scale-infinite',
    BAD,
    (i) => single(i.floats(2, 3), (a) => i.backend.multiply(a, a, { scale: Number.POSITIVE_INFINITY })),
  ],
  [
    'multiply-unknown-option',
    BAD,
    (i) => single(i.floats(2, 3), (a) => i.backend.multiply(a, a, untyped({ factor: 2 }))),
  ],
  ['multiply-disposed', 'disposed', (i) => pair(i.floats(2, 3), i.disposed(2, 3), (a, b) => i.backend.multiply(a, b))],
  ['slice-axis', BAD, (i) => single(i.floats(2, 3), (x) => i.backend.slice(x, 2, 0, 1))],
  ['slice-past-the-end', BAD, (i) => single(i.floats(2, 3), (x) => i.backend.slice(x, 1, 0, 4))],
  ['slice-empty', BAD, (i) => single(i.floats(2, 3), (x) => i.backend.slice(x, 1, 1, 1))],
  ['slice-negative', BAD, (i) => single(i.floats(2, 3), (x) => i.backend.slice(x, 1, -1, 2))],
  ['slice-fraction', BAD, (i) => single(i.floats(2, 3), (x) => i.backend.slice(x, 1, 0, 1.5))],
  ['argsort-floats', BAD, (i) => single(i.floats(2, 3), (x) => i.backend.argsort(x))],
  ['reshape-size', BAD, (i) => single(i.floats(2, 3), (x) => i.backend.reshape(x, [2, 2]))],
  ['reshape-disposed', 'disposed', (i) => single(i.disposed(2, 3), (x) => i.backend.reshape(x, [6]))],
  ['concat-nothing', BAD, (i) => () => i.backend.concat([], 0)],
  ['concat-shapes', BAD, (i) => pair(i.floats(2, 3), i.floats(2, 4), (a, b) => i.backend.concat([a, b], 0))],
  ['concat-dtypes', BAD, (i) => pair(i.floats(2, 3), i.ids([2, 3]), (a, b) => i.backend.concat([a, b], 0))],
  ['concat-axis', BAD, (i) => pair(i.floats(2, 3), i.floats(2, 3), (a, b) => i.backend.concat([a, b], 2))],
  ['concat-disposed', 'disposed', (i) => pair(i.floats(2, 3), i.disposed(2, 3), (a, b) => i.backend.concat([a, b], 0))],
  ['argmax-int32', BAD, (i) => single(i.ids([2, 3]), (x) => i.backend.argmax(x))],
  ['sample-uniform-shape', BAD, (i) => pair(i.floats(2, 3), i.floats(3), (x, u) => i.backend.sample(x, u))],
  [
    'sample-temperature',
    BAD,
    (i) => pair(i.floats(2, 3), i.floats(2), (x, u) => i.backend.sample(x, u, { temperature: -1 })),
  ],
  ['sample-top-k', BAD, (i) => pair(i.floats(2, 3), i.floats(2), (x, u) => i.backend.sample(x, u, { topK: 0 }))],
  ['sample-top-p', BAD, (i) => pair(i.floats(2, 3), i.floats(2), (x, u) => i.backend.sample(x, u, { topP: 1.1 }))],
  [
    'sample-unknown-option',
    BAD,
    (i) => pair(i.floats(2, 3), i.floats(2), (x, u) => i.backend.sample(x, u, untyped({ top_k: 1 }))),
  ],
  ['log-prob-id', BAD, (i) => pair(i.floats(2, 3), i.ids([2], 3), (x, ids) => i.backend.logProb(x, ids))],
  ['log-prob-shape', BAD, (i) => pair(i.floats(2, 3), i.ids([3]), (x, ids) => i.backend.logProb(x, ids))],
  ['upload-length', BAD, (i) => upload(i, { dtype: 'float32', shape: [2, 3], data: new Float32Array(5) })],
  ['upload-empty', BAD, (i) => upload(i, { dtype: 'float32', shape: [2, 0], data: new Float32Array(0) })],
  ['upload-negative', BAD, (i) => upload(i, { dtype: 'float32', shape: [-2, -3], data: new Float32Array(6) })],
  ['upload-fraction', BAD, (i) => upload(i, { dtype: 'float32', shape: [1.5, 4], data: new Float32Array(6) })],
  ['upload-absurd', BAD, (i) => upload(i, { dtype: 'float32', shape: [2 ** 40, 2 ** 40], data: new Float32Array(6) })],
  ['upload-array-kind', BAD, (i) => upload(i, untyped({ dtype: 'float32', shape: [6], data: new Float64Array(6) }))],
  ['upload-dtype', BAD, (i) => upload(i, untyped({ dtype: 'complex64', shape: [6], data: new Float32Array(6) }))],
  ['upload-nothing', BAD, (i) => upload(i, untyped(undefined))],
  [
    'upload-unknown-option',
    BAD,
    (i) => () =>
      i.backend.upload(
        floats([3], () => 0),
        untyped({ type: 'float16' }),
      ),
  ],
  [
    'upload-float-as-int32',
    BAD,
    (i) => () =>
      i.backend.upload(
        floats([3], () => 0),
        { dtype: 'int32' },
      ),
  ],
  ['read-foreign', 'foreign', (i) => single(i.foreign(2, 3), (x) => i.backend.read(x))],
  ['read-disposed', 'disposed', (i) => single(i.disposed(2, 3), (x) => i.backend.read(x))],
  [
    'supports-unknown-operation',
    BAD,
    (i) => pair(i.floats(1), i.floats(1), (a, b) => i.backend.supports(untyped<'add'>('matmul'), a, b)),
  ],
  ['adamw-rates-shape', BAD, (i) => adamw(i, { rates: i.floats(2) })],
  ['adamw-rates-beside-step', BAD, (i) => adamw(i, { rates: i.floats(3), step: 1 })],
  ['adamw-neither-rates-nor-step', BAD, (i) => adamw(i, {})],
];

function single(x: Tensor, call: (x: Tensor) => unknown): Attempt {
  return () => call(x);
}

function pair(a: Tensor, b: Tensor, call: (a: Tensor, b: Tensor) => unknown): Attempt {
  return () => call(a, b);
}

function triple(a: Tensor, b: Tensor, c: Tensor, call: (a: Tensor, b: Tensor, c: Tensor) => unknown): Attempt {
  return () => call(a, b, c);
}

function upload(inputs: Inputs, host: HostTensor): Attempt {
  return () => inputs.backend.upload(host);
}

/** All inputs belong to the other backend, so that their dtypes agree with each other. */
function foreignScan(inputs: Inputs): Attempt {
  const [u, delta, A] = [inputs.foreign(1, 2, 3), inputs.foreign(1, 2, 3), inputs.foreign(3, 2)];
  const [B, C] = [inputs.foreign(1, 2, 2), inputs.foreign(1, 2, 2)];
  return () => inputs.backend.selectiveScan(u, delta, A, B, C);
}

function adamw(inputs: Inputs, options: object): Attempt {
  const [parameter, gradient, first, second] = [0, 1, 2, 3].map(() => inputs.floats(4));
  return () => inputs.backend.adamw(parameter!, gradient!, { first: first!, second: second! }, untyped(options));
}

export async function refused(findings: Findings, code: ErrorCode, attempt: Attempt, backend: Backend): Promise<void> {
  const before = backend.memory();
  let error: unknown = 'no error';
  try {
    await attempt();
  } catch (thrown) {
    error = thrown;
  }
  findings.holds(code, isMambaError(error, code), `${String(error)} instead of a MambaError '${code}'`);
  sameMemory(findings, backend, before);
}

/** Calls that a model refuses do not change the state. */
function failedForward(): Check {
  return invariant('bad-input/model-state-unchanged', (findings, { backend }) =>
    withArena(backend, async (arena) => {
      const model = await openModel(arena, SMALL_MODEL);
      const stranger = await openModel(arena, SMALL_MODEL);
      const ids = [modelIds(SMALL_MODEL, 1, 5).data];
      const { state, logits } = model.forward(ids, { logits: 'last' });
      arena.own(state);
      arena.own(logits!);
      const next = async () => {
        const result = model.forward([[3]], { state });
        arena.own(result.state);
        return arena.read(arena.own(result.logits!));
      };
      const want = await next();
      const gone = model.cloneState(state);
      gone.dispose();
      const resets = arena.upload(integers([1, 2], () => 0));
      const { vocabSize } = SMALL_MODEL;
      const attempts: readonly (readonly [ErrorCode, Attempt])[] = [
        [BAD, () => model.forward([[vocabSize]], { state, donateState: true })],
        [BAD, () => model.forward([[-1]], { state, donateState: true })],
        [BAD, () => model.forward([[0.5]], { state, donateState: true })],
        [BAD, () => model.forward([[]], { state, donateState: true })],
        [BAD, () => model.forward([[1], [2, 3]])],
        [BAD, () => model.forward([[1], [2]], { state, donateState: true })],
        [BAD, () => model.forward([[1, 2, 3]], { state, donateState: true, resets })],
        [BAD, () => model.forward([[1, 2, 3]], { state, donateState: true, resets, chunk: 2 })],
        [BAD, () => model.forward([[1]], untyped({ state, donate: true }))],
        [BAD, () => model.forward([[1]], { state, donateState: true, chunk: 0 })],
        [BAD, () => model.decode([[1, 2]], state, { count: 3, donateState: true })],
        [BAD, () => model.decode([[1]], state, { count: 0, donateState: true })],
        [BAD, () => model.decode([[1]], state, { count: 3, donateState: true, topK: 3 })],
        ['foreign', () => stranger.forward([[1]], { state, donateState: true })],
        ['disposed', () => model.forward([[1]], { state: gone })],
        [BAD, () => model.gatherState([{ state, row: 1 }])],
        [BAD, () => model.gatherState([])],
        [
          'disposed',
          () =>
            model.gatherState([
              { state, row: 0 },
              { state: gone, row: 0 },
            ]),
        ],
      ];
      for (const [code, attempt] of attempts) await refused(findings, code, attempt, backend);
      findings.holds('state is alive', !state.disposed, 'a refused call disposed the donated state');
      findings.identical('logits', await next(), want);
      stranger.dispose();
      await refused(findings, 'disposed', () => stranger.forward([[1]]), backend);
      const snapshot = await model.exportState(state);
      const broken = [
        { ...snapshot, version: 3 },
        { ...snapshot, blocks: snapshot.blocks.map(({ slots }) => ({ kind: 'mlp', slots })) },
        {
          ...snapshot,
          blocks: snapshot.blocks.map(({ kind, slots }) => ({ kind, slots: enlarged(slots) })),
        },
        { ...snapshot, batch: 2 },
        { ...snapshot, layers: snapshot.layers.slice(1) },
      ];
      for (const item of broken)
        await refused(findings, 'invalid-file', () => model.importState(untyped(item)), backend);
    }),
  );
}

/** The slots with their first extent larger by one. */
function enlarged(slots: SnapshotBlock['slots']): SnapshotBlock['slots'] {
  return Object.fromEntries(Object.entries(slots).map(([name, [first, ...rest]]) => [name, [first! + 1, ...rest]]));
}

/** Loading that fails half-way, meets a wrong shape, or is aborted frees everything. */
function failedLoading(): Check {
  return invariant('bad-input/failed-loading-frees', async (findings, { backend }) => {
    const good = seededWeights(SMALL_MODEL, 1);
    const fail = new MambaError('invalid-file', 'made to fail');
    await refused(
      findings,
      'invalid-file',
      () =>
        createModel(backend, SMALL_MODEL, (parameter) => {
          if (parameter.layer === 1 && parameter.role === 'matrix') throw fail;
          return good(parameter);
        }),
      backend,
    );
    await refused(
      findings,
      BAD,
      () =>
        createModel(backend, SMALL_MODEL, (parameter) =>
          parameter.name === 'finalNorm' ? floats([SMALL_MODEL.dModel + 1], () => 1) : good(parameter),
        ),
      backend,
    );
    const controller = new AbortController();
    await refused(
      findings,
      'aborted',
      () =>
        createModel(backend, SMALL_MODEL, good, {
          signal: controller.signal,
          onProgress: (loaded) => {
            if (loaded === 5) controller.abort();
          },
        }),
      backend,
    );
  });
}
