/** Laws of `Backend.capture`, for backends that have it: a replay is the call, bit for bit, and nothing leaks. */
import {
  adamwRates,
  type Backend,
  type Capture,
  type CaptureFunction,
  type CaptureInput,
  type HostTensor,
  type Tensor,
} from '@mamba/core';
import { scoped } from '@mamba/core/toolkit';
import { floats, integers, normals } from '../cases/host.ts';
import { Random } from '../random.ts';
import type { Check } from '../runner/check.ts';
import type { Findings } from '../runner/report.ts';
import { type Arena, withArena } from './arena.ts';
import { untyped } from './attempts.ts';
import { refused } from './bad-input.ts';
import { invariant } from './invariant.ts';
import { sameMemory } from './memory.ts';

export function captureLaws(): readonly Check[] {
  return [
    law('replays-are-calls', replaysAreCalls),
    law('results-belong-to-it', resultsBelongToIt),
    law('refuses', refuses),
    law('failed-frees', failedFrees),
  ];
}

type Capturing = Backend & { readonly capture: CaptureFunction };

function law(name: string, body: (findings: Findings, arena: Arena, backend: Capturing) => Promise<void>): Check {
  return invariant(`capture/${name}`, async (findings, { backend }) => {
    const { capture } = backend;
    if (capture === undefined) return { skipped: `${backend.name} has no capture` };
    const before = backend.memory();
    await withArena(backend, (arena) => body(findings, arena, backend as Capturing));
    sameMemory(findings, backend, before);
    return undefined;
  });
}

const [ROWS, CHANNELS, STEPS] = [7, 8, 6];

/** The tensors that are there before, one of which is written to. */
interface Held {
  readonly table: Tensor;
  readonly first: Tensor;
  readonly second: Tensor;
}

function held(arena: Arena): Held {
  const random = new Random(31);
  const [table, first, second] = [0, 1, 2].map(() => arena.upload(normals(random, [ROWS, CHANNELS], 0.1)));
  return { table: table!, first: first!, second: arena.own(arena.backend.multiply(second!, second!)) };
}

function inputsOf({ precision }: Backend): readonly CaptureInput[] {
  return [
    { shape: [2, STEPS], dtype: 'int32', range: { min: 0, max: ROWS - 1 } },
    { shape: [2, STEPS, CHANNELS], dtype: precision },
    { shape: [3], dtype: precision },
  ];
}

function valuesOf(turn: number): readonly HostTensor[] {
  const random = new Random(40 + turn);
  const rates = adamwRates({ learningRate: 0.1 / (turn + 1), step: turn + 1 });
  return [
    integers([2, STEPS], () => random.integer(ROWS)),
    normals(random, [2, STEPS, CHANNELS]),
    { dtype: 'float64', shape: [3], data: Float64Array.from(rates) },
  ];
}

/** A pass over a table and back, with an upload on the way, memory that is used again, and an update of the table. */
function pass(backend: Backend, { table, first, second }: Held, [ids, x, rates]: readonly Tensor[]) {
  return scoped((scope) => {
    const taken = scope.own(backend.embedding(table, ids!));
    const offset = scope.own(backend.upload(floats([2, STEPS, CHANNELS], (index) => (index % 5) - 2)));
    const moved = scope.own(backend.add(taken, offset));
    scope.drop(offset);
    const state = scope.own(backend.upload(floats([2, CHANNELS, 3], (index) => index / 7)));
    const taps = scope.own(backend.upload(floats([CHANNELS, 4], (index) => Math.sin(index))));
    const { y, lastState } = backend.causalConv1d(moved, taps, undefined, { initialState: state, activation: 'silu' });
    scope.own(y);
    scope.drop(moved);
    const gated = scope.own(backend.multiply(y, x!));
    const gradient = scope.own(backend.embeddingBackward(table, ids!, gated));
    backend.adamw(table, gradient, { first, second }, { rates: rates!, weightDecay: 0.1 });
    return { gated: scope.release(gated), lastState };
  });
}

async function replaysAreCalls(findings: Findings, arena: Arena, backend: Capturing): Promise<void> {
  const [replayed, called] = [held(arena), held(arena)];
  const capture = arena.own(backend.capture(inputsOf(backend), (inputs) => pass(backend, replayed, inputs)));
  findings.identical('table before', await arena.read(replayed.table), await arena.read(called.table));
  let earlier: Promise<unknown> = Promise.resolve();
  for (let turn = 0; turn < 3; turn++) {
    const own = capture.replay(valuesOf(turn));
    const inputs = valuesOf(turn).map((host) => arena.upload(host));
    const expected = arena.all(pass(backend, called, inputs));
    const reads = [own.gated, own.lastState, replayed.table, replayed.first].map((tensor) => arena.read(tensor));
    // The next replay overwrites the results, while these are read.
    await earlier;
    earlier = Promise.all(reads).then(async (values) => {
      const wanted = [expected.gated, expected.lastState].map((tensor) => arena.read(tensor));
      for (const [index, want] of (await Promise.all(wanted)).entries())
        findings.identical(`turn ${turn}, result ${index}`, values[index]!, want);
    });
    const [table, first] = await Promise.all([reads[2]!, reads[3]!]);
    findings.identical(`turn ${turn}, table`, table, await arena.read(called.table));
    findings.identical(`turn ${turn}, moment`, first, await arena.read(called.first));
  }
  await earlier;
}

async function resultsBelongToIt(findings: Findings, arena: Arena, backend: Capturing): Promise<void> {
  const before = backend.memory();
  const x = arena.upload(floats([5], (index) => index));
  const y = floats([5], (index) => 2 * index);
  const capture = backend.capture([{ shape: [5], dtype: backend.precision }], ([input]) => {
    const sum = backend.add(x, input!);
    input!.dispose();
    return { sum, twice: backend.add(sum, sum) };
  });
  const { sum, twice } = capture.replay([y]);
  sum.dispose();
  findings.holds('sum', !sum.disposed, 'a result was disposed');
  findings.holds('bytes', capture.bytes > 0, `${capture.bytes} bytes for two results`);
  findings.identical('twice', await arena.read(capture.replay([y]).twice), await arena.read(twice));
  const pending = arena.read(sum);
  capture.dispose();
  capture.dispose();
  findings.close('sum', await pending, [0, 3, 6, 9, 12], 0);
  findings.holds('results', sum.disposed && twice.disposed, 'a result outlives its capture');
  findings.equal('bytes after', capture.bytes, 0);
  x.dispose();
  sameMemory(findings, backend, before);
}

async function refuses(findings: Findings, arena: Arena, backend: Capturing): Promise<void> {
  const tensors = held(arena);
  const capture: Capture<unknown> = arena.own(
    backend.capture(inputsOf(backend), (inputs) => pass(backend, tensors, inputs)),
  );
  const [ids, x, rates] = valuesOf(0) as [HostTensor, HostTensor, HostTensor];
  const table = await arena.read(tensors.table);
  const bad: readonly (readonly HostTensor[])[] = [
    [],
    [ids, x],
    [ids, x, rates, rates],
    [ids, rates, x],
    [x, x, rates],
    [ids, normals(new Random(1), [2, CHANNELS, STEPS]), rates],
    [integers([2, STEPS], () => ROWS), x, rates],
    [integers([2, STEPS], (index) => -index), x, rates],
    untyped(undefined),
  ];
  for (const values of bad) await refused(findings, 'invalid-argument', () => capture.replay(values), backend);
  findings.identical('table', await arena.read(tensors.table), table);
  tensors.table.dispose();
  findings.holds('usable', !capture.usable, 'a capture of a disposed tensor says that it is usable');
  await refused(findings, 'disposed', () => capture.replay([ids, x, rates]), backend);
  capture.dispose();
  await refused(findings, 'disposed', () => capture.replay([ids, x, rates]), backend);
}

async function failedFrees(findings: Findings, arena: Arena, backend: Capturing): Promise<void> {
  const x = arena.upload(floats([4], (index) => index));
  const spec = { shape: [4], dtype: backend.precision };
  const run = (then: (y: Tensor) => unknown) => () =>
    backend.capture([spec], ([input]) => then(backend.add(input!, backend.add(x, x))));
  const other = backend.capture([], () => backend.add(x, x));
  const attempts = [
    ['invalid-argument', () => backend.capture(untyped(undefined), () => x)],
    ['invalid-argument', () => backend.capture([{ shape: [0], dtype: backend.precision }], () => x)],
    ['invalid-argument', () => backend.capture([{ shape: [4], dtype: 'float16' }], () => x)],
    ['invalid-argument', run(async () => x)],
    ['invalid-argument', run((y) => backend.linear(y, y))],
    ['unsupported', run(() => backend.capture([], () => x))],
    ['unsupported', run(() => other.replay([]))],
  ] as const;
  for (const [code, attempt] of attempts) await refused(findings, code, attempt, backend);
  const waits: Promise<unknown>[] = [];
  backend.capture([spec], ([input]) => waits.push(backend.read(input!), backend.synchronize())).dispose();
  for (const wait of waits) await refused(findings, 'unsupported', () => wait, backend);
  other.dispose();
  findings.identical('x', await arena.read(x), [0, 1, 2, 3]);
}
