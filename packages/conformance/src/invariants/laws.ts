/** The laws of everything that runs over a length: chunks, rows, packed sequences, unchanged inputs. */
import type { Tensor } from '@mamba/core';
import { integers } from '../cases/host.ts';
import type { Check } from '../runner/check.ts';
import type { Findings } from '../runner/report.ts';
import { type Arena, withArena } from './arena.ts';
import { invariant, SAME_VALUES } from './invariant.ts';
import { type OpenSequence, type Sequence, type SequenceResult, type Steps, sequences } from './sequences.ts';

export function sequenceLaws(): readonly Check[] {
  return sequences().flatMap((sequence) => lawsOf(sequence));
}

/** @param noResets The reason why the sequence takes no resets, if it does not. */
export function lawsOf(sequence: Sequence, noResets?: string): readonly Check[] {
  const law = (name: string, body: (findings: Findings, arena: Arena, open: OpenSequence) => Promise<void>): Check =>
    invariant(`${sequence.name}/${name}`, async (findings, { backend }) => {
      const skipped = sequence.refusal?.(backend);
      if (skipped !== undefined) return { skipped };
      await withArena(backend, async (arena) => body(findings, arena, await sequence.open(arena)));
      return undefined;
    });
  return [
    ...CHUNKINGS.map(([name, sizes]) =>
      law(name, (findings, arena, open) => chunked(findings, arena, open, sequence, sizes)),
    ),
    law('rows-do-not-mix', (findings, arena, open) => rowsDoNotMix(findings, arena, open, sequence)),
    law('rows-alone', (findings, arena, open) => rowsAlone(findings, arena, open, sequence)),
    noResets === undefined
      ? law('packed-is-separate', (findings, arena, open) => packed(findings, arena, open, sequence))
      : invariant(`${sequence.name}/packed-is-separate`, async () => ({ skipped: noResets })),
    law('deterministic', (findings, arena, open) => deterministic(findings, arena, open)),
    law('inputs-unmodified', (findings, arena, open) => inputsUnmodified(findings, arena, open)),
  ];
}

/** The lengths of the chunks. The last length repeats until the end. */
const CHUNKINGS: readonly (readonly [string, readonly number[]])[] = [
  ['steps', [1]],
  ['chunks-of-2', [2]],
  ['chunks-of-8', [8]],
  ['chunks-uneven', [1, 5, 3, 2, 4]],
  ['prefill-then-steps', [16, 1]],
];

async function chunked(
  findings: Findings,
  arena: Arena,
  open: OpenSequence,
  { length, exactState }: Sequence,
  sizes: readonly number[],
): Promise<void> {
  const full = open.run(open.inputs);
  const parts: Tensor[] = [];
  let state: unknown;
  for (let start = 0, index = 0; start < length; index++) {
    const end = Math.min(length, start + sizeAt(sizes, index));
    const piece = open.run(cut(arena, open.inputs, 1, start, end), state);
    parts.push(piece.y);
    state = piece.state;
    start = end;
  }
  findings.close('y', await arena.read(arena.concat(parts, 1)), await arena.read(full.y), SAME_VALUES);
  const [ours, theirs] = [await open.readState(state), await open.readState(full.state)];
  for (const [index, part] of ours.entries()) {
    if (exactState) findings.identical('state', part, theirs[index]!);
    else findings.close(`state.${index}`, part, theirs[index]!, SAME_VALUES);
  }
}

/** The results of the first row are the same bits whatever the other rows hold. */
async function rowsDoNotMix(findings: Findings, arena: Arena, open: OpenSequence, { batch }: Sequence): Promise<void> {
  const reordered = open.inputs.map((input) => {
    const rows = Array.from({ length: batch }, (_, row) => arena.slice(input, 0, row, row + 1));
    return arena.concat([rows[0]!, ...rows.slice(1).reverse()], 0);
  });
  const [one, other] = [open.run(open.inputs), open.run(reordered)];
  const first = async ({ y }: SequenceResult) => arena.read(arena.slice(y, 0, 0, 1));
  findings.identical('y of row 0', await first(other), await first(one));
  const states = [await open.readState(one.state), await open.readState(other.state)];
  for (const [index, part] of states[0]!.entries()) {
    const row = part.length / batch;
    findings.identical(
      `state of row 0.${index}`,
      Array.from(states[1]![index]!).slice(0, row),
      Array.from(part).slice(0, row),
    );
  }
}

async function rowsAlone(findings: Findings, arena: Arena, open: OpenSequence, { batch }: Sequence): Promise<void> {
  const together = open.run(open.inputs);
  const alone = Array.from({ length: batch }, (_, row) => open.run(cut(arena, open.inputs, 0, row, row + 1)));
  const joined = arena.concat(
    alone.map(({ y }) => y),
    0,
  );
  findings.close('y', await arena.read(joined), await arena.read(together.y), SAME_VALUES);
}

/** Two sequences of unequal length in one row, with a reset between them, give the results of each alone. */
async function packed(
  findings: Findings,
  arena: Arena,
  open: OpenSequence,
  { batch, length }: Sequence,
): Promise<void> {
  for (const border of [1, 8, length - 1]) {
    const marks = arena.upload(integers([batch, length], (index) => (index % length === border ? 1 : 0)));
    const whole = open.run(open.inputs, undefined, marks);
    const before = open.run(cut(arena, open.inputs, 1, 0, border));
    const after = open.run(cut(arena, open.inputs, 1, border, length));
    const joined = arena.concat([before.y, after.y], 1);
    findings.close(`y, border ${border}`, await arena.read(whole.y), await arena.read(joined), SAME_VALUES);
    // The states go on alike. They may differ: a cache also holds tokens from before the reset, and positions go on.
    const next = cut(arena, open.inputs, 1, 0, 3);
    const [ours, theirs] = [open.run(next, whole.state), open.run(next, after.state)];
    findings.close(`y after border ${border}`, await arena.read(ours.y), await arena.read(theirs.y), SAME_VALUES);
  }
}

async function deterministic(findings: Findings, arena: Arena, open: OpenSequence): Promise<void> {
  const [one, other] = [open.run(open.inputs), open.run(open.inputs)];
  findings.identical('y', await arena.read(other.y), await arena.read(one.y));
  const states = [await open.readState(one.state), await open.readState(other.state)];
  for (const [index, part] of states[0]!.entries()) findings.identical(`state.${index}`, states[1]![index]!, part);
}

async function inputsUnmodified(findings: Findings, arena: Arena, open: OpenSequence): Promise<void> {
  const inputs = await Promise.all(open.inputs.map((input) => arena.read(input)));
  // The state comes from other inputs than are fed next, so that a state that is overwritten differs.
  const { state } = open.run(cut(arena, open.inputs, 1, 0, 8));
  const before = await open.readState(state);
  open.run(open.inputs, state);
  const after = await open.readState(state);
  for (const [index, part] of before.entries()) findings.identical(`given state.${index}`, after[index]!, part);
  for (const [index, input] of open.inputs.entries())
    findings.identical(`input.${index}`, await arena.read(input), inputs[index]!);
}

function cut(arena: Arena, inputs: Steps, axis: number, start: number, end: number): Steps {
  return inputs.map((input) => arena.slice(input, axis, start, end));
}

/** The size of a chunk; the last size repeats. */
function sizeAt(sizes: readonly number[], index: number): number {
  return sizes[Math.min(index, sizes.length - 1)]!;
}
