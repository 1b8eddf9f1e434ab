/** Checkpoint folders with `expected.safetensors`, in the format of the fixtures' README. */
import {
  type CheckpointLocation,
  checkpointStore,
  openCheckpoint,
  openSafetensors,
  type SafetensorsFile,
} from '@mamba/checkpoint';
import { type Backend, createModel, type HostTensor, type Model, type ModelConfig, type ModelState } from '@mamba/core';
import { MODEL } from '../cases/model.ts';
import type { Check } from '../runner/check.ts';
import { Findings, type TensorReport, type Values } from '../runner/report.ts';
import { damaged, numbers } from './scan-golden.ts';

/**
 * A checkpoint on a backend against its expected values, whichever of them the folder holds: logits, hidden states, both parts of
 * the state, the greedy continuation (by steps and by `decode`) and answers. Tensors of other names are left aside.
 * @throws MambaError as `openCheckpoint` and `createModel`, and `invalid-file` where `expected.safetensors` is missing or damaged.
 */
export async function checkCheckpoint(
  backend: Backend,
  location: CheckpointLocation,
  names: { readonly source?: string | undefined; readonly case?: string | undefined } = {},
): Promise<readonly TensorReport[]> {
  const store = checkpointStore(location);
  const source = names.source ?? store.name;
  const findings = new Findings(source, names.case ?? baseName(source), backend.precision);
  const expected = await openExpected(location);
  try {
    const model = await loadModel(backend, location);
    try {
      await checkModel(findings, model, expected);
    } finally {
      model.dispose();
    }
  } finally {
    await expected.close();
  }
  return findings.reports;
}

/** The same as one check: `checkpoint/mamba-tiny`. */
export function checkpointCheck(location: CheckpointLocation, source: string, id: string): Check {
  const name = baseName(id);
  return {
    id,
    source,
    case: name,
    run: ({ backend }) => checkCheckpoint(backend, location, { source, case: name }),
  };
}

export function baseName(path: string): string {
  return path.split(/[/\\]/).filter(Boolean).at(-1) ?? path;
}

async function openExpected(location: CheckpointLocation): Promise<SafetensorsFile> {
  const store = checkpointStore(location);
  const source = await store.open('expected.safetensors');
  if (source === undefined) throw damaged(store.name, 'no expected.safetensors', 'golden values beside the checkpoint');
  return openSafetensors(source);
}

async function loadModel(backend: Backend, location: CheckpointLocation): Promise<Model> {
  const checkpoint = await openCheckpoint(location);
  try {
    return await createModel(backend, checkpoint.config, checkpoint.source);
  } finally {
    await checkpoint.close();
  }
}

async function checkModel(findings: Findings, model: Model, expected: SafetensorsFile): Promise<void> {
  const rows = await readIds(expected, 'input_ids', model.config);
  const state = await checkForward(findings, model, expected, rows);
  try {
    await checkState(findings, model, expected, state.state);
    const last = state.next;
    if (expected.tensors.has('answers')) findings.close('answers', last, numbers(await expected.read('answers')), 0);
    if (expected.tensors.has('greedy_ids')) await checkGreedy(findings, model, expected, state.state, last);
  } finally {
    state.state.dispose();
  }
}

/** Logits and hidden states; gives the state after the input and the likeliest next ids. */
async function checkForward(
  findings: Findings,
  model: Model,
  expected: SafetensorsFile,
  rows: readonly Int32Array[],
): Promise<{ readonly state: ModelState; readonly next: Int32Array }> {
  const { backend } = model;
  const result = model.forward(rows, { logits: 'all', hiddenStates: true });
  try {
    const compare = async (name: string, values: () => Promise<Values>): Promise<void> => {
      if (!expected.tensors.has(name)) return;
      findings.close(name, await values(), numbers(await expected.read(name)), MODEL.relative);
    };
    const logits = result.logits!;
    await compare('logits', () => backend.read(logits));
    for (const [index, hidden] of result.hiddenStates!.entries())
      await compare(`hidden_states.${index}`, () => backend.read(hidden));
    const length = rows[0]!.length;
    const last = backend.slice(logits, 1, length - 1, length);
    const next = backend.argmax(last);
    last.dispose();
    try {
      return { state: result.state, next: (await backend.read(next)) as Int32Array };
    } finally {
      next.dispose();
    }
  } catch (error) {
    result.state.dispose();
    throw error;
  } finally {
    result.logits?.dispose();
    for (const tensor of result.hiddenStates ?? []) tensor.dispose();
  }
}

async function checkState(
  findings: Findings,
  model: Model,
  expected: SafetensorsFile,
  state: ModelState,
): Promise<void> {
  const { dConv } = model.config;
  const { layers } = await model.exportState(state);
  for (const [index, { conv, ssm }] of layers.entries()) {
    const names = [`conv_state.${index}`, `ssm_state.${index}`] as const;
    if (expected.tensors.has(names[0])) {
      const wide = numbers(await expected.read(names[0]));
      // The file keeps dConv columns, oldest first; the state the newest dConv - 1 of them.
      const kept = Array.from(wide).filter((_, position) => position % dConv !== 0);
      findings.close(names[0], conv, kept, MODEL.relative);
    }
    if (expected.tensors.has(names[1]))
      findings.close(names[1], ssm, numbers(await expected.read(names[1])), MODEL.relative);
  }
}

/** The greedy continuation, token by token and by the model's own loop. */
async function checkGreedy(
  findings: Findings,
  model: Model,
  expected: SafetensorsFile,
  state: ModelState,
  first: Int32Array,
): Promise<void> {
  const rows = await readIds(expected, 'greedy_ids', model.config);
  const [batch, count] = [rows.length, rows[0]!.length];
  if (batch !== first.length) throw damaged(`${expected.name}: greedy_ids`, `${batch} rows`, `${first.length}`);
  const want = Int32Array.from(rows.flatMap((row) => [...row]));
  findings.close('greedy_ids', await greedyBySteps(model, state, first, count), want, 0);
  if (count === 1) return;

  const fed = Array.from(first, (id) => [id]);
  const decoded = model.decode(fed, state, { count: count - 1 });
  try {
    const tail = (await model.backend.read(decoded.ids)) as Int32Array;
    const ids = fed.flatMap(([id], row) => [id!, ...tail.subarray(row * (count - 1), (row + 1) * (count - 1))]);
    findings.close('greedy_ids by decode', ids, want, 0);
  } finally {
    decoded.ids.dispose();
    decoded.state.dispose();
  }
}

async function greedyBySteps(model: Model, start: ModelState, first: Int32Array, count: number): Promise<Int32Array> {
  const { backend } = model;
  const batch = first.length;
  const ids = new Int32Array(batch * count);
  let state = model.cloneState(start);
  let current = first;
  try {
    for (let step = 0; step < count; step++) {
      for (const [row, id] of current.entries()) ids[row * count + step] = id;
      if (step === count - 1) break;
      const result = model.forward(
        Array.from(current, (id) => [id]),
        { state, donateState: true },
      );
      state = result.state;
      const next = backend.argmax(result.logits!);
      result.logits!.dispose();
      try {
        current = (await backend.read(next)) as Int32Array;
      } finally {
        next.dispose();
      }
    }
    return ids;
  } finally {
    state.dispose();
  }
}

/** `[batch, length]` ids of the vocabulary, as rows. */
async function readIds(file: SafetensorsFile, name: string, { vocabSize }: ModelConfig): Promise<Int32Array[]> {
  const origin = `${file.name}: ${name}`;
  if (!file.tensors.has(name)) throw damaged(file.name, `no ${name}`, 'token ids');
  const host: HostTensor = await file.read(name);
  if (host.dtype !== 'int32' || host.shape.length !== 2)
    throw damaged(origin, `${host.dtype} [${host.shape.join(', ')}]`, 'integers [batch, length]');
  const outside = host.data.find((id) => id < 0 || id >= vocabSize);
  if (outside !== undefined) throw damaged(origin, `the id ${outside}`, `ids from 0 to ${vocabSize - 1}`);
  const [batch, length] = host.shape as [number, number];
  return Array.from({ length: batch }, (_, row) => host.data.slice(row * length, (row + 1) * length));
}
