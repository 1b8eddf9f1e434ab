/** The laws of training: gradients of whole models, and updates. */
import { type Backend, type HostArray, MambaError, type ModelConfig } from '@mamba/core';
import {
  type Batch,
  inductionHeads,
  type LossOptions,
  type LossResult,
  lossAndGradients,
  Optimiser,
  TrainableModel,
  Trainer,
  taskBatches,
} from '@mamba/train';
import { seededWeights } from '../cases/weights.ts';
import { MODEL_GRADIENTS } from '../golden/gradients.ts';
import { Random } from '../random.ts';
import type { Check, CheckContext, Skipped } from '../runner/check.ts';
import type { Findings } from '../runner/report.ts';
import { BIASED_MODEL, FALCON_MODEL, MIXED_MODEL, PARALLEL_MODEL, SCALED_MODEL, TIED_MODEL } from '../suite/shapes.ts';
import { invariant, SAME_VALUES } from './invariant.ts';

/** Models of every kind, with tied and untied heads, both norms, biases, multipliers and parallel blocks. */
const MODELS: Readonly<Record<string, ModelConfig>> = {
  tied: TIED_MODEL,
  biased: BIASED_MODEL,
  falcon: FALCON_MODEL,
  mixed: MIXED_MODEL,
  scaled: SCALED_MODEL,
  parallel: PARALLEL_MODEL,
};

export function trainingLaws(): readonly Check[] {
  return [
    ...Object.entries(MODELS).map(([name, config]) => gradientLaw(name, config, { resets: true })),
    law('mixed/repeats', MIXED_MODEL, repeats),
    law('mixed/checkpointed-is-kept', MIXED_MODEL, checkpointed),
    law('parallel/checkpointed-is-kept', PARALLEL_MODEL, checkpointedNearly),
    law('scaled/head-in-pieces-is-whole', SCALED_MODEL, inPieces),
    law('mixed/segments-are-whole', MIXED_MODEL, segments),
    law('tied/updates-descend', TIED_MODEL, descends),
    law('tied/memory', TIED_MODEL, memory),
    capturedLaw(),
  ];
}

/** The gradients of a model with blocks of any kind. @param resets Whether the model takes resets. */
export function gradientLaw(name: string, config: ModelConfig, { resets }: { readonly resets: boolean }): Check {
  return law(`${name}/gradients`, config, (findings, model, { reference }) =>
    agrees(findings, model, reference, batchOf(config, { resets })),
  );
}

type Body = (findings: Findings, model: TrainableModel, context: CheckContext) => Promise<void>;

function law(name: string, config: ModelConfig, body: Body): Check {
  return invariant(`training/${name}`, async (findings, context): Promise<Skipped | undefined> => {
    let model: TrainableModel;
    try {
      model = await create(context.backend, config);
    } catch (error) {
      if (error instanceof MambaError && error.code === 'unsupported') return { skipped: error.message };
      throw error;
    }
    try {
      await body(findings, model, context);
    } finally {
      model.dispose();
    }
    return undefined;
  });
}

const create = (backend: Backend, config: ModelConfig): Promise<TrainableModel> =>
  TrainableModel.create(backend, config, seededWeights(config, 3));

/** Two rows of random tokens, with a position in four that has no loss, and a reset in one of the rows. */
function batchOf({ vocabSize }: ModelConfig, { resets = true } = {}): Batch {
  const random = new Random(23);
  const [batch, length] = [2, 11];
  const ids = Int32Array.from({ length: batch * length }, () => random.integer(vocabSize));
  const targets = Int32Array.from(ids, (_, index) => (index % 4 === 1 ? -100 : random.integer(vocabSize)));
  const marks = Int32Array.from(ids, (_, index) => (index === length + 5 ? 1 : 0));
  return { batch, length, ids, targets, resets: resets ? marks : undefined };
}

interface Values {
  readonly loss: number;
  readonly gradients: Readonly<Record<string, HostArray>>;
}

/** Runs a batch and reads the results. Frees everything. */
async function valuesOf(model: TrainableModel, batch: Batch, options?: LossOptions): Promise<Values> {
  const result = lossAndGradients(model, batch, options);
  try {
    const read = [...result.gradients].map(
      async ([name, gradient]) => [name, await model.backend.read(gradient)] as const,
    );
    return { loss: await result.losses.mean(), gradients: Object.fromEntries(await Promise.all(read)) };
  } finally {
    dispose(result);
  }
}

function dispose({ losses, gradients, state }: LossResult): void {
  for (const held of [losses, state, ...gradients.values()]) held.dispose();
}

async function agrees(findings: Findings, model: TrainableModel, reference: Backend, batch: Batch): Promise<void> {
  const options = { labelSmoothing: 0.1 };
  const other = await create(reference, model.config);
  try {
    compare(findings, await valuesOf(model, batch, options), await valuesOf(other, batch, options));
  } finally {
    other.dispose();
  }
}

/** Gradients that are small beside the largest are held to a share of that. */
const LEAST_SCALE = 1e-4;

function compare(findings: Findings, ours: Values, theirs: Values, relative = MODEL_GRADIENTS.relative): void {
  findings.close('loss', [ours.loss], [theirs.loss], relative);
  let most = 0;
  for (const values of Object.values(theirs.gradients))
    for (const value of values) most = Math.max(most, Math.abs(value));
  for (const [name, expected] of Object.entries(theirs.gradients))
    findings.close(name, ours.gradients[name] ?? [], expected, relative, 0, LEAST_SCALE * most);
}

function identical(findings: Findings, ours: Values, theirs: Values): void {
  findings.identical('loss', [ours.loss], [theirs.loss]);
  for (const [name, expected] of Object.entries(theirs.gradients))
    findings.identical(name, ours.gradients[name] ?? [], expected);
}

async function repeats(findings: Findings, model: TrainableModel): Promise<void> {
  const batch = batchOf(model.config);
  identical(findings, await valuesOf(model, batch), await valuesOf(model, batch));
}

async function checkpointed(findings: Findings, model: TrainableModel): Promise<void> {
  const batch = batchOf(model.config);
  identical(findings, await valuesOf(model, batch, { checkpointing: true }), await valuesOf(model, batch));
}

/** Blocks that read one residual add their gradients to it in another order. */
async function checkpointedNearly(findings: Findings, model: TrainableModel): Promise<void> {
  const batch = batchOf(model.config);
  compare(findings, await valuesOf(model, batch, { checkpointing: true }), await valuesOf(model, batch));
}

async function inPieces(findings: Findings, model: TrainableModel): Promise<void> {
  const batch = batchOf(model.config);
  const whole = await valuesOf(model, batch);
  for (const positions of [1, 4, 11])
    compare(findings, await valuesOf(model, batch, { logits: positions * model.config.vocabSize }), whole);
}

/** The losses of a sequence in segments, with the state carried from one to the next, are those of the whole. */
async function segments(findings: Findings, model: TrainableModel): Promise<void> {
  const whole = batchOf(model.config, { resets: false });
  const { loss } = await valuesOf(model, whole, { count: 1 });
  let sum = 0;
  let state: LossResult['state'] | undefined;
  for (const [start, end] of [
    [0, 4],
    [4, 5],
    [5, 11],
  ] as const) {
    const part = (values: Int32Array): Int32Array =>
      Int32Array.from([0, 1].flatMap((row) => [...values.subarray(row * 11 + start, row * 11 + end)]));
    const batch = { batch: 2, length: end - start, ids: part(whole.ids), targets: part(whole.targets) };
    const result = lossAndGradients(model, batch, { count: 1, state });
    state?.dispose();
    sum += await result.losses.mean();
    result.losses.dispose();
    for (const gradient of result.gradients.values()) gradient.dispose();
    state = result.state;
  }
  state?.dispose();
  findings.close('loss', [sum], [loss], SAME_VALUES);
}

/** Some updates on one batch lower its loss, and the parameters that decay are those of the declaration. */
async function descends(findings: Findings, model: TrainableModel): Promise<void> {
  const batch = batchOf(model.config);
  const optimiser = new Optimiser(model.backend, model.parameters);
  const losses: number[] = [];
  try {
    for (let step = 0; step < 6; step++) {
      const result = lossAndGradients(model, batch);
      optimiser.update(result.gradients, 1e-2).dispose();
      losses.push(await result.losses.mean());
      dispose(result);
    }
  } finally {
    optimiser.dispose();
  }
  findings.holds('loss', losses[5]! < losses[0]! - 0.1, `${losses.join(', ')} does not fall`);
}

async function memory(findings: Findings, model: TrainableModel): Promise<void> {
  const { backend } = model;
  const batch = batchOf(model.config);
  // The first call may keep buffers for later ones.
  await valuesOf(model, batch, { checkpointing: true });
  const before = backend.memory();
  for (let turn = 0; turn < 3; turn++) await valuesOf(model, batch, { checkpointing: turn === 1 });
  findings.equal('tensors', backend.memory().tensors, before.tensors);
  findings.equal('bytes', backend.memory().bytes, before.bytes);
}

/**
 * Steps that are captured are those that are called, bit for bit: losses, norms, parameters and moments. Two lengths
 * come in turn, so that each is called once, then captured, and then replayed.
 */
function capturedLaw(): Check {
  return invariant('training/tied/captured-is-called', async (findings, { backend }) => {
    if (backend.capture === undefined) return { skipped: `${backend.name} has no capture` };
    const before = backend.memory();
    let captures = 0;
    const counting = new Proxy(backend, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== 'function') return value;
        return (...args: readonly unknown[]): unknown => {
          if (name === 'capture') captures++;
          return value.apply(target, args);
        };
      },
    });
    const [captured, called] = [await steps(counting, true), await steps(backend, false)];
    findings.equal('captures, of gradients and updates at each length', captures, 4);
    for (const [name, values] of called) findings.identical(name, captured.get(name) ?? [], values);
    findings.equal('tensors', backend.memory().tensors, before.tensors);
    findings.equal('bytes', backend.memory().bytes, before.bytes);
    return undefined;
  });
}

/** Trains for some steps. Returns every value that is left, by name. */
async function steps(backend: Backend, capture: boolean): Promise<ReadonlyMap<string, ArrayLike<number>>> {
  const model = await create(backend, TIED_MODEL);
  const data = taskBatches(inductionHeads({ vocabSize: TIED_MODEL.vocabSize }), { batch: 2, lengths: [5, 8], seed: 5 });
  const trainer = new Trainer(model, data, { steps: 8, peak: 1e-2, warmup: 3, labelSmoothing: 0.1, capture });
  try {
    const values = new Map<string, ArrayLike<number>>();
    await trainer.run({
      onStep: ({ step, loss, norm, learningRate }) => values.set(`step ${step}`, [loss, norm, learningRate]),
    });
    for (const { name, tensor } of model.parameters) values.set(name, await backend.read(tensor));
    for (const [name, { first, second }] of trainer.optimiser.moments) {
      values.set(`first moment of ${name}`, await backend.read(first));
      values.set(`second moment of ${name}`, await backend.read(second));
    }
    return values;
  } finally {
    trainer.dispose();
    model.dispose();
  }
}
