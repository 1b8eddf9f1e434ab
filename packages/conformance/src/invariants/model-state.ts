/**
 * The laws of a model's state: it can be kept, copied, merged, given away, exported, and continued on another backend.
 */
import {
  type Backend,
  createModel,
  decodeSnapshot,
  encodeSnapshot,
  type HostArray,
  type Model,
  type ModelConfig,
  type ModelState,
  type Tensor,
} from '@mamba/core';
import { stateGrows } from '@mamba/core/toolkit';
import { floats } from '../cases/host.ts';
import { MODEL } from '../cases/model.ts';
import { seededWeights } from '../cases/weights.ts';
import { Random } from '../random.ts';
import type { Check } from '../runner/check.ts';
import type { Findings } from '../runner/report.ts';
import {
  BIASED_MODEL,
  FALCON_MODEL,
  MIXED_MODEL,
  PARALLEL_MODEL,
  SCALED_MODEL,
  SMALL_MODEL,
  TIED_MODEL,
} from '../suite/shapes.ts';
import { type Arena, withArena } from './arena.ts';
import { invariant, SAME_VALUES } from './invariant.ts';
import { sameMemory } from './memory.ts';
import { modelIds, openModel } from './sequences.ts';

export function modelStateLaws(): readonly Check[] {
  const configs: readonly (readonly [string, ModelConfig])[] = [
    ['untied', SMALL_MODEL],
    ['tied', TIED_MODEL],
    ['biased', BIASED_MODEL],
    ['falcon', FALCON_MODEL],
    ['mixed', MIXED_MODEL],
    ['scaled', SCALED_MODEL],
    ['parallel', PARALLEL_MODEL],
  ];
  return [
    ...stateLawsOf('model-state', SMALL_MODEL),
    ...configs.flatMap(([name, config]) => transferLawsOf(name, config)),
  ];
}

/** The laws of the state of one model on one backend. */
export function stateLawsOf(name: string, config: ModelConfig): readonly Check[] {
  const law = (title: string, body: (findings: Findings, arena: Arena, model: Model) => Promise<void>): Check =>
    invariant(`${name}/${title}`, (findings, { backend }) =>
      withArena(backend, async (arena) => body(findings, arena, await openModel(arena, config))),
    );
  return [
    law('zero-is-absent', zeroIsAbsent),
    law('is-not-written-to', isNotWrittenTo),
    law('clone-is-independent', cloneIsIndependent),
    law('gather-selects-and-merges', gather),
    law('gather-merges-unequal-ages', gatherAges),
    law('donated-is-gone', donatedIsGone),
    law('decode-is-a-loop-of-steps', decodeIsLoop),
    law('decode-samples-as-the-loop', decodeSamples),
    law('exported-continues-here', exportedContinuesHere),
    law('chunk-option', chunkOption),
    law('dispose-frees-states', disposeFrees),
  ];
}

/** A state can move to another backend and back, and a fused model computes what the composed one does. */
export function transferLawsOf(name: string, config: ModelConfig): readonly Check[] {
  return [
    invariant(`model-state/reference-to-backend-${name}`, (findings, { backend, reference }) =>
      continues(findings, config, reference, backend),
    ),
    invariant(`model-state/backend-to-reference-${name}`, (findings, { backend, reference }) =>
      continues(findings, config, backend, reference),
    ),
    invariant(`model-state/fused-is-composed-${name}`, (findings, { backend }) =>
      fusedIsComposed(findings, config, backend),
    ),
  ];
}

const BATCH = 3;

function rowsOf(length: number, seed: number, config: ModelConfig, batch = BATCH): Int32Array[] {
  const { data } = modelIds(config, batch, length, seed);
  return Array.from({ length: batch }, (_, row) => data.slice(row * length, (row + 1) * length));
}

/** The logits after some more tokens. The given state is not donated. */
async function continued(
  arena: Arena,
  model: Model,
  state: ModelState | undefined,
  rows = rowsOf(5, 22, model.config),
): Promise<HostArray> {
  const result = model.forward(rows, { state, logits: 'all' });
  arena.own(result.state);
  return arena.read(arena.own(result.logits!));
}

function prefilled(arena: Arena, model: Model, seed = 21, length = 9): ModelState {
  const result = model.forward(rowsOf(length, seed, model.config), { logits: 'none' });
  return arena.own(result.state);
}

async function zeroIsAbsent(findings: Findings, arena: Arena, model: Model): Promise<void> {
  const zero = arena.own(model.zeroState(BATCH));
  findings.identical('positions', zero.positions, [0, 0, 0]);
  findings.identical('logits', await continued(arena, model, zero), await continued(arena, model, undefined));
}

async function isNotWrittenTo(findings: Findings, arena: Arena, model: Model): Promise<void> {
  const state = prefilled(arena, model);
  const once = await continued(arena, model, state);
  findings.identical('logits', await continued(arena, model, state), once);
  const { ids, state: after } = model.decode([[1], [2], [3]], state, { count: 4 });
  ids.dispose();
  after.dispose();
  findings.identical('logits after decode', await continued(arena, model, state), once);
}

async function cloneIsIndependent(findings: Findings, arena: Arena, model: Model): Promise<void> {
  const state = prefilled(arena, model);
  const clone = arena.own(model.cloneState(state));
  const want = await continued(arena, model, state);
  model.forward(rowsOf(3, 23, model.config), { state, donateState: true, logits: 'none' }).state.dispose();
  findings.identical('logits', await continued(arena, model, clone), want);
  findings.identical('positions', clone.positions, [9, 9, 9]);
}

async function gather(findings: Findings, arena: Arena, model: Model): Promise<void> {
  const [one, other] = [prefilled(arena, model, 31), prefilled(arena, model, 32)];
  const more = rowsOf(5, 22, model.config);
  const [a, b] = [await continued(arena, model, one, more), await continued(arena, model, other, more)];
  const size = a.length / BATCH;
  const merged = arena.own(
    model.gatherState([
      { state: other, row: 2 },
      { state: one, row: 0 },
      { state: one, row: 0 },
      { state: other, row: 1 },
    ]),
  );
  findings.equal('batch', merged.batch, 4);
  const result = await continued(arena, model, merged, [more[2]!, more[0]!, more[0]!, more[1]!]);
  const want = [b.subarray(2 * size), a.subarray(0, size), a.subarray(0, size), b.subarray(size, 2 * size)];
  findings.close(
    'logits',
    result,
    want.flatMap((row) => [...row]),
    SAME_VALUES,
  );
}

/** Rows that were fed unequal numbers of tokens continue in one batch as they would alone. */
async function gatherAges(findings: Findings, arena: Arena, model: Model): Promise<void> {
  const [young, old] = [prefilled(arena, model, 33, 2), prefilled(arena, model, 34, 11)];
  const rows = [
    { state: old, row: 1 },
    { state: young, row: 0 },
    { state: arena.own(model.zeroState(1)), row: 0 },
  ];
  const merged = arena.own(model.gatherState(rows));
  findings.identical('positions', merged.positions, [11, 2, 0]);
  const more = rowsOf(5, 35, model.config);
  const alone = await Promise.all(
    rows.map(async ({ state, row }, index) => {
      const single = arena.own(model.gatherState([{ state, row }]));
      return continued(arena, model, single, [more[index]!]);
    }),
  );
  const want = alone.flatMap((logits) => [...logits]);
  findings.close('logits', await continued(arena, model, merged, more), want, SAME_VALUES);
  // The snapshot contains the padding of the rows that were fed fewer tokens.
  const snapshot = decodeSnapshot(encodeSnapshot(await model.exportState(merged)));
  const imported = arena.own(model.importState(snapshot));
  findings.close('logits, imported', await continued(arena, model, imported, more), want, SAME_VALUES);
}

async function donatedIsGone(findings: Findings, arena: Arena, model: Model): Promise<void> {
  const kept = prefilled(arena, model);
  const want = await continued(arena, model, kept);
  const given = model.cloneState(kept);
  const result = model.forward(rowsOf(5, 22, model.config), { state: given, donateState: true, logits: 'all' });
  arena.own(result.state);
  findings.holds('disposed', given.disposed, 'the donated state is still alive');
  findings.identical('logits', await arena.read(arena.own(result.logits!)), want);

  const before = arena.backend.memory();
  let state = arena.own(model.cloneState(kept));
  const one = arena.backend.memory();
  for (let step = 0; step < 20; step++) {
    const next = model.forward([[1], [2], [3]], { state, donateState: true, logits: 'none' });
    state = arena.own(next.state);
  }
  // A slot that grows has other memory meanwhile, and a clone of it shares that of the state.
  if (!stateGrows(model.config)) sameMemory(findings, arena.backend, one);
  else findings.equal('memory.tensors', arena.backend.memory().tensors, one.tensors);
  state.dispose();
  sameMemory(findings, arena.backend, before);
}

async function decodeIsLoop(findings: Findings, arena: Arena, model: Model): Promise<void> {
  const count = 7;
  const start = prefilled(arena, model);
  const first = [[4], [5], [6]];
  const decoded = model.decode(first, start, { count });
  arena.own(decoded.ids);
  arena.own(decoded.state);
  const loop = await steps(arena, model, start, first, count, (logits) => arena.own(arena.backend.argmax(logits)));
  findings.identical('ids', await arena.read(decoded.ids), loop.ids);
  findings.identical('positions', decoded.state.positions, loop.state.positions);
  findings.close(
    'state',
    await continued(arena, model, decoded.state),
    await continued(arena, model, loop.state),
    SAME_VALUES,
  );
}

async function decodeSamples(findings: Findings, arena: Arena, model: Model): Promise<void> {
  const count = 6;
  const random = new Random(24);
  const sampling = { temperature: 0.5, topK: 20, topP: 0.95, minP: 0.001 };
  const uniform = arena.upload(floats([BATCH, count], () => random.uniform()));
  const start = prefilled(arena, model);
  const first = [[4], [5], [6]];
  const decoded = model.decode(first, start, { count, uniform, ...sampling });
  arena.own(decoded.ids);
  arena.own(decoded.state);
  const loop = await steps(arena, model, start, first, count, (logits, index) =>
    arena.own(arena.backend.sample(logits, arena.slice(uniform, 1, index, index + 1), sampling)),
  );
  findings.identical('ids', await arena.read(decoded.ids), loop.ids);
}

async function steps(
  arena: Arena,
  model: Model,
  start: ModelState,
  first: readonly (readonly number[])[],
  count: number,
  pick: (logits: Tensor, index: number) => Tensor,
): Promise<{ readonly ids: number[]; readonly state: ModelState }> {
  const ids: number[] = new Array(first.length * count).fill(0);
  let state = start;
  let current = first;
  for (let index = 0; index < count; index++) {
    const result = model.forward(current, { state });
    state = arena.own(result.state);
    const picked = [...(await arena.read(pick(arena.own(result.logits!), index)))];
    for (const [row, id] of picked.entries()) ids[row * count + index] = id;
    current = picked.map((id) => [id]);
  }
  return { ids, state };
}

async function exportedContinuesHere(findings: Findings, arena: Arena, model: Model): Promise<void> {
  const state = prefilled(arena, model);
  const want = await continued(arena, model, state);
  const snapshot = await model.exportState(state);
  const imported = arena.own(model.importState(decodeSnapshot(encodeSnapshot(snapshot))));
  findings.identical('logits', await continued(arena, model, imported), want);
  findings.identical('positions', imported.positions, state.positions);
  const again = await model.exportState(imported);
  for (const [index, layer] of snapshot.layers.entries())
    for (const [slot, values] of Object.entries(layer))
      findings.identical(`${slot}.${index}`, again.layers[index]![slot] ?? [], values);
}

async function chunkOption(findings: Findings, arena: Arena, model: Model): Promise<void> {
  const rows = rowsOf(23, 25, model.config);
  const whole = model.forward(rows, { logits: 'all' });
  arena.own(whole.state);
  const want = await arena.read(arena.own(whole.logits!));
  for (const chunk of [1, 4, 22, 23, 100]) {
    const result = model.forward(rows, { logits: 'all', chunk });
    arena.own(result.state);
    findings.close(`logits, chunk ${chunk}`, await arena.read(arena.own(result.logits!)), want, SAME_VALUES);
  }
}

async function disposeFrees(findings: Findings, arena: Arena, model: Model): Promise<void> {
  const before = arena.backend.memory();
  await withArena(arena.backend, async (inner) => {
    const state = prefilled(inner, model);
    const snapshot = await model.exportState(state);
    inner.own(model.importState(snapshot));
    inner.own(model.cloneState(state));
    const result = model.forward(rowsOf(9, 26, model.config), { state, logits: 'all', hiddenStates: true, chunk: 4 });
    inner.own(result.state);
    inner.own(result.logits!);
    for (const tensor of result.hiddenStates!) inner.own(tensor);
    const decoded = model.decode([[1], [2], [3]], state, { count: 5 });
    inner.own(decoded.ids);
    inner.own(decoded.state);
  });
  sameMemory(findings, arena.backend, before);
}

/** Prefills on one backend and continues on the other, compared with doing both on the other. */
async function continues(findings: Findings, config: ModelConfig, from: Backend, to: Backend): Promise<void> {
  await withArena(from, (source) =>
    withArena(to, async (target) => {
      const exporter = await openModel(source, config);
      const importer = await openModel(target, config);
      const snapshot = await exporter.exportState(prefilled(source, exporter));
      const imported = target.own(importer.importState(decodeSnapshot(encodeSnapshot(snapshot))));
      const here = prefilled(target, importer);
      // One of the two backends is float32, so the tolerance of float32 holds in both directions.
      const { relative } = MODEL;
      findings.close(
        'logits',
        await continued(target, importer, imported),
        await continued(target, importer, here),
        relative,
      );
    }),
  );
}

async function fusedIsComposed(findings: Findings, config: ModelConfig, backend: Backend): Promise<void> {
  await withArena(backend, async (arena) => {
    const fused = await openModel(arena, config);
    const composed = arena.own(await createModel(backend, config, seededWeights(config, 14), { composed: true }));
    const [one, other] = [prefilled(arena, fused), prefilled(arena, composed)];
    const want = await continued(arena, composed, other);
    findings.close('logits', await continued(arena, fused, one), want, MODEL.relative);
  });
}
