/** Compares a system on a backend with the float64 reference. Nothing of a system is timed before it agrees. */
import { MODEL_GRADIENTS_TOLERANCE } from '@mamba/conformance';
import type { Backend, Tensor } from '@mamba/core';
import { disposeAll } from '@mamba/core/toolkit';
import type { Pause, Values } from '../cases/contract.ts';
import { compareValues, readAll } from '../cases/values.ts';
import type { CheckRecord } from '../schema/report.ts';
import { type HostParameter, hostInput, Subject, TrainedSubject } from './subject.ts';
import type { SizedSystem } from './systems.ts';

/** Sequences and tokens that the reference computes. */
const [ROWS, TOKENS] = [2, 7];
/** Tokens whose results in two pieces have to be those of the whole: more than a kernel's tile takes. */
export const WHOLE = 192;
const FIRST = 130;

/** Results of the reference, by system, for all backends of a run. */
export type ReferenceValues = Map<string, Promise<Values>>;

export interface AgreementSubject {
  readonly system: SizedSystem;
  readonly dModel: number;
  readonly parameters: readonly HostParameter[];
  /** Whether gradients are compared as well. */
  readonly trained: boolean;
}

/** Checks outputs, a step after them, gradients, and that two pieces give what the whole gives. */
export async function checkAgreement(
  backend: Backend,
  subject: AgreementSubject,
  reference: Backend,
  known: ReferenceValues,
  pause: Pause,
): Promise<CheckRecord> {
  const { system, trained } = subject;
  const expected = known.get(system.name) ?? valuesOf(reference, subject);
  known.set(system.name, expected);
  // A failure is not kept for other backends.
  expected.catch(() => known.delete(system.name));
  const onReference = await expected;
  await pause();
  const steps = system.remembers !== 'nothing';
  const checked = [
    `${ROWS} × ${TOKENS} tokens`,
    ...(steps ? ['a step after them', `${WHOLE} tokens in two pieces`] : []),
    ...(trained ? ['gradients'] : []),
  ].join(', ');
  const { relative: tolerance } = MODEL_GRADIENTS_TOLERANCE;
  const check = compareValues(await valuesOf(backend, subject), onReference, { tolerance, checked });
  if (!check.pass || !steps) return check;
  const pieces = await piecesOf(backend, subject);
  const law = compareValues({ y: pieces.inPieces }, { y: pieces.atOnce }, { tolerance, checked });
  return law.pass && (law.relativeError ?? 0) <= (check.relativeError ?? 0) ? check : law;
}

async function valuesOf(backend: Backend, { system, dModel, parameters, trained }: AgreementSubject): Promise<Values> {
  const x = backend.upload(hostInput(ROWS, TOKENS, dModel));
  const next = backend.upload(hostInput(ROWS, 1, dModel));
  const read: Record<string, Tensor> = {};
  const open = new Subject(backend, system, dModel, parameters);
  try {
    const { y, state } = open.block.forward(x);
    read.y = y;
    if (system.remembers !== 'nothing') {
      try {
        const after = open.block.forward(next, { state, positions: new Array<number>(ROWS).fill(TOKENS) });
        read.step = after.y;
        disposeAll(Object.values(after.state));
      } finally {
        disposeAll(Object.values(state));
      }
    } else {
      disposeAll(Object.values(state));
    }
    if (trained) Object.assign(read, gradientsOf(backend, { system, parameters }, x));
  } catch (error) {
    disposeAll(Object.values(read));
    throw error;
  } finally {
    open.dispose();
    disposeAll([x, next]);
  }
  // It disposes what it reads.
  return readAll(backend, read);
}

/** The gradient of every parameter, under names that no other value has. x is the output's gradient too. */
function gradientsOf(
  backend: Backend,
  { system, parameters }: Pick<AgreementSubject, 'system' | 'parameters'>,
  x: Tensor,
): Record<string, Tensor> {
  const open = new TrainedSubject(backend, system, parameters);
  try {
    const { y, gradients } = open.gradients(x, x);
    y.dispose();
    return Object.fromEntries([...gradients].map(([key, gradient]) => [`d${key}`, gradient]));
  } finally {
    open.dispose();
  }
}

async function piecesOf(
  backend: Backend,
  { system, dModel, parameters }: AgreementSubject,
): Promise<{ inPieces: Values[string]; atOnce: Values[string] }> {
  const open = new Subject(backend, system, dModel, parameters);
  const held: Tensor[] = [];
  const own = <T extends Tensor>(tensor: T): T => {
    held.push(tensor);
    return tensor;
  };
  try {
    const x = own(backend.upload(hostInput(1, WHOLE, dModel)));
    const whole = open.block.forward(x);
    own(whole.y);
    held.push(...Object.values(whole.state));
    const first = open.block.forward(own(backend.slice(x, 1, 0, FIRST)));
    own(first.y);
    held.push(...Object.values(first.state));
    const second = open.block.forward(own(backend.slice(x, 1, FIRST, WHOLE)), {
      state: first.state,
      positions: [FIRST],
    });
    own(second.y);
    held.push(...Object.values(second.state));
    const atOnce = own(backend.slice(whole.y, 1, FIRST, WHOLE));
    return { inPieces: await backend.read(second.y), atOnce: await backend.read(atOnce) };
  } finally {
    open.dispose();
    disposeAll(held);
  }
}
