/** Checks checkpoint folders with an `expected.safetensors`, whose format the fixtures' README describes. */
import { type CheckpointLocation, checkpointStore, openCheckpoint, type SafetensorsFile } from '@mamba/checkpoint';
import {
  type Backend,
  createModel,
  type HostArray,
  type LayerSnapshot,
  type Model,
  type ModelConfig,
  type ModelState,
  type Support,
  type Tensor,
} from '@mamba/core';
import { kindSuite } from '../blocks/suites.ts';
import { kindSupport } from '../blocks/support.ts';
import { MODEL } from '../cases/model.ts';
import type { Check } from '../runner/check.ts';
import { Findings, type TensorReport } from '../runner/report.ts';
import { openBeside } from './beside.ts';
import { damaged } from './golden-file.ts';
import { checkGradients, GRADIENTS } from './gradients.ts';
import { readIds } from './ids.ts';

/**
 * Compares a checkpoint on a backend with its expected values: the logits, and those that the folder holds of hidden
 * states, states, loss, greedy continuation (by steps and by `decode`) and answers. A tensor of an unknown name and a
 * missing layer are failures, since a misspelt name would check nothing.
 * @throws MambaError as `openCheckpoint` and `createModel`, and `invalid-file` where `expected.safetensors` is missing
 * or damaged.
 */
export async function checkCheckpoint(
  backend: Backend,
  location: CheckpointLocation,
  names: { readonly source?: string | undefined; readonly case?: string | undefined } = {},
): Promise<readonly TensorReport[]> {
  const store = checkpointStore(location);
  const source = names.source ?? store.name;
  const findings = new Findings(source, names.case ?? baseName(source), backend.precision);
  const expected = await openBeside(location, 'expected.safetensors');
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

/**
 * The expected values of a checkpoint as one check: `checkpoint/mamba-tiny`. It is skipped on a backend that lacks an
 * operation of one of the model's kinds of blocks.
 */
export function checkpointCheck(location: CheckpointLocation, source: string, id: string): Check {
  const name = baseName(id);
  return {
    id,
    source,
    case: name,
    async run({ backend }) {
      const support = await modelSupport(backend, location);
      return support.supported
        ? checkCheckpoint(backend, location, { source, case: name })
        : { skipped: support.reason };
    },
  };
}

/**
 * A checkpoint's checks: its expected values, and `checkpoint/mamba-tiny/gradients` where the folder holds
 * `gradients.safetensors`, the gradient of the loss for every parameter by its name.
 */
export async function checkpointChecks(
  location: CheckpointLocation,
  source: string,
  id: string,
): Promise<readonly Check[]> {
  const checks = [checkpointCheck(location, source, id)];
  if (await holdsGradients(location)) checks.push(gradientsCheck(location, source, `${id}/gradients`));
  return checks;
}

/** The gradients of a checkpoint's loss as one check. */
export function gradientsCheck(location: CheckpointLocation, source: string, id: string): Check {
  const name = baseName(id.replace(/\/gradients$/, ''));
  return { id, source, case: name, run: ({ backend }) => checkGradients(backend, location, { source, case: name }) };
}

/** False for a folder that cannot be read: the check of its expected values fails with the reason. */
async function holdsGradients(location: CheckpointLocation): Promise<boolean> {
  try {
    const file = await checkpointStore(location).open(GRADIENTS);
    await file?.close();
    return file !== undefined;
  } catch {
    return false;
  }
}

function baseName(path: string): string {
  return path.split(/[/\\]/).filter(Boolean).at(-1) ?? path;
}

/**
 * Whether a backend has the operations of a checkpoint's kinds of blocks, or the reason why not. Yes for a checkpoint
 * that cannot be opened: its check fails with the reason.
 */
async function modelSupport(backend: Backend, location: CheckpointLocation): Promise<Support> {
  try {
    const checkpoint = await openCheckpoint(location);
    await checkpoint.close();
    const answers = checkpoint.config.blocks.map(({ kind }) => kindSupport(kind, backend));
    return answers.find(({ supported }) => !supported) ?? { supported: true };
  } catch {
    return { supported: true };
  }
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
  checkNames(findings, expected, model.config);
  const state = await checkForward(findings, model, expected, rows);
  try {
    await checkState(findings, model, expected, rows, state.state);
    const last = state.next;
    if (expected.tensors.has('answers'))
      findings.matches('answers', last, [last.length], await expected.read('answers'), 0);
    if (expected.tensors.has('greedy_ids')) await checkGreedy(findings, model, expected, state.state, last);
  } finally {
    state.state.dispose();
  }
}

/**
 * Checks the names of the tensors. A file that holds hidden states or states holds them for all layers. `positions`,
 * the places that the answers refer to, is not checked.
 */
function checkNames(findings: Findings, expected: SafetensorsFile, { blocks }: ModelConfig): void {
  const layers = blocks.length;
  const states = new Map<string, string[]>();
  for (const [layer, { kind }] of blocks.entries())
    for (const name of kindSuite(kind)?.golden?.tensors ?? [])
      states.set(name, [...(states.get(name) ?? []), `${name}.${layer}`]);
  const families = [
    ['logits'],
    Array.from({ length: layers + 1 }, (_, index) => `hidden_states.${index}`),
    ...states.values(),
  ];
  const known = new Set(['input_ids', 'greedy_ids', 'answers', 'positions', 'loss', ...families.flat()]);
  for (const name of expected.tensors.keys())
    if (!known.has(name)) findings.fail(name, `is no tensor of this format for ${layers} layers`);
  for (const family of families) {
    const held = family.filter((name) => expected.tensors.has(name));
    if (held.length === 0 && family[0] !== 'logits') continue;
    for (const name of family) if (!held.includes(name)) findings.fail(name, `is missing from ${expected.name}`);
  }
}

/** Checks logits, loss and hidden states. Returns the state after the input and the likeliest next ids. */
async function checkForward(
  findings: Findings,
  model: Model,
  expected: SafetensorsFile,
  rows: readonly Int32Array[],
): Promise<{ readonly state: ModelState; readonly next: Int32Array }> {
  const { backend } = model;
  const result = model.forward(rows, { logits: 'all', hiddenStates: true });
  const rounding = expected.tensors.has('hidden_states.0') ? 0 : FAMILY_ROUNDING;
  try {
    const compare = async (name: string, tensor: Tensor): Promise<void> => {
      if (!expected.tensors.has(name)) return;
      const values = await backend.read(tensor);
      findings.matches(name, values, tensor.shape, await expected.read(name), MODEL.relative, { rounding });
    };
    const logits = result.logits!;
    await compare('logits', logits);
    if (expected.tensors.has('loss')) {
      const loss = nextTokenLoss(await backend.read(logits), rows, model.config.vocabSize);
      findings.matches('loss', [loss], [1], await expected.read('loss'), MODEL.relative, { rounding });
    }
    for (const [index, hidden] of result.hiddenStates!.entries()) await compare(`hidden_states.${index}`, hidden);
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

/**
 * The accuracy of the logits in the families' checkpoints, relative to the largest. transformers computed them, which
 * casts parts of its layers to float32, and every later sum inherits that rounding. Their files hold no hidden states;
 * files with hidden states were computed in float64 throughout.
 */
const FAMILY_ROUNDING = 2e-6;

/**
 * The mean cross entropy of the next token over all rows, in nats, computed in float64 from logits
 * `[batch, length, vocabSize]`.
 */
function nextTokenLoss(logits: HostArray, rows: readonly Int32Array[], vocabSize: number): number {
  let sum = 0;
  let count = 0;
  for (const [row, ids] of rows.entries()) {
    for (let step = 0; step + 1 < ids.length; step++, count++) {
      const start = (row * ids.length + step) * vocabSize;
      const at = Float64Array.from(logits.subarray(start, start + vocabSize));
      const top = at.reduce((most, value) => Math.max(most, value));
      sum += top + Math.log(at.reduce((total, value) => total + Math.exp(value - top), 0)) - at[ids[step + 1]!]!;
    }
  }
  return sum / count;
}

/** Checks the state of each layer whose kind defines how the file holds it. */
async function checkState(
  findings: Findings,
  model: Model,
  expected: SafetensorsFile,
  rows: readonly Int32Array[],
  state: ModelState,
): Promise<void> {
  const { layers } = await model.exportState(state);
  const before = await layersBefore(model, rows);
  for (const [layer, block] of model.config.blocks.entries()) {
    const values = kindSuite(block.kind)?.golden?.values(block, rows.length, layers[layer]!, before?.[layer]) ?? {};
    for (const [tensor, { shape, data }] of Object.entries(values)) {
      const name = `${tensor}.${layer}`;
      if (expected.tensors.has(name)) findings.matches(name, data, shape, await expected.read(name), MODEL.relative);
    }
  }
}

/** The state one token before the end of the input; undefined for an input of one token. */
async function layersBefore(model: Model, rows: readonly Int32Array[]): Promise<readonly LayerSnapshot[] | undefined> {
  if (rows[0]!.length === 1) return undefined;
  const { state } = model.forward(
    rows.map((row) => row.subarray(0, -1)),
    { logits: 'none' },
  );
  try {
    return (await model.exportState(state)).layers;
  } finally {
    state.dispose();
  }
}

/** Tokens of the continuation that are checked on an emulated GPU, where a token of a trained model takes 0.1 s. */
const SOFTWARE_TOKENS = 12;

/** Checks the greedy continuation, token by token and by `decode`. */
async function checkGreedy(
  findings: Findings,
  model: Model,
  expected: SafetensorsFile,
  state: ModelState,
  first: Int32Array,
): Promise<void> {
  const whole = await readIds(expected, 'greedy_ids', model.config);
  const rows = model.backend.details.software === true ? whole.map((row) => row.slice(0, SOFTWARE_TOKENS)) : whole;
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
