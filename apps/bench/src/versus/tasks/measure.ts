/**
 * Trains models by a recipe and tests them: how many answers of a task are right at lengths beyond those of training,
 * or bits per byte of held-out text, with the speed of training. A model's loss and gradients are compared with the
 * reference before it is trained.
 */

import { bytesSource } from '@mamba/checkpoint';
import { MODEL_GRADIENTS_TOLERANCE } from '@mamba/conformance';
import { type Backend, isMambaError, MambaError, type Model, type ModelConfig, parameterCount } from '@mamba/core';
import { stateBytes } from '@mamba/core/toolkit';
import {
  accuracy,
  type BatchSource,
  BYTE_VOCABULARY,
  byteTokens,
  Corpus,
  evaluateLoss,
  initialParameters,
  shuffledWindows,
  TrainableModel,
  Trainer,
  taskBatches,
  windowsInOrder,
} from '@mamba/train';
import type { Pause } from '../../cases/contract.ts';
import { gradientsOf } from '../../cases/train.ts';
import { compareValues } from '../../cases/values.ts';
import { describeDisagreement, messageOf, Stopped } from '../../errors.ts';
import type { CheckRecord } from '../../schema/report.ts';
import type { TaskRecipe, TaskRow } from '../../schema/versus.ts';
import { type TaskModel, taskConfig } from './models.ts';
import { TASKS } from './recipes.ts';

export interface TaskContext {
  readonly backend: Backend;
  /** The name of the backend in results. */
  readonly name: string;
  readonly reference: Backend;
  /** Seconds that one training may take. */
  readonly seconds: number;
  /** The text of the recipe `language`. */
  readonly corpus: Uint8Array | undefined;
  readonly pause: Pause;
  readonly signal: AbortSignal | undefined;
  /** Milliseconds of the clock that times are taken by. */
  now(): number;
  begin(label: string): void;
}

/** Tokens before which the state is told. */
const REMEMBERED = 2048;
/** Share of the text that is held out. */
const HELD_OUT = 0.02;
/** Steps whose time tells how long all of them will take. */
const PACE = 8;
/** Sequences and tokens that the reference computes. */
const CHECKED = { batch: 2, length: 16 } as const;

/** Trains and tests one model. @param label The name of its system that people read. */
export async function measureTask(
  model: TaskModel,
  label: string,
  recipe: TaskRecipe,
  context: TaskContext,
): Promise<TaskRow> {
  const config = configOf(model, recipe);
  const head = {
    ...{ task: recipe.task, system: model.system, label, backend: context.name },
    ...{ layers: config.blocks.length, parameters: parameterCount(config), state: stateBytes(config, REMEMBERED) },
  };
  const title = `${label} on ${context.name}: ${recipe.task}`;
  try {
    context.begin(`${title}, checking`);
    await context.pause();
    const check = await checkTraining(config, recipe, context);
    if (!check.pass) return { ...head, status: 'disagrees', check, reason: describeDisagreement(check) };
    return { ...head, check, ...(await trainAndTest(config, recipe, title, context)) };
  } catch (error) {
    if (error instanceof Stopped || context.signal?.aborted) throw new Stopped();
    const status = isMambaError(error, 'unsupported') ? 'unsupported' : 'failed';
    return { ...head, status, reason: messageOf(error) };
  }
}

function configOf(model: TaskModel, { task, layers, dModel, feedForward }: TaskRecipe): ModelConfig {
  const language = task === 'language';
  // The tasks have so few tokens that a head of its own costs nothing.
  const vocabSize = language ? BYTE_VOCABULARY : TASKS[task].vocabSize;
  return taskConfig(model, { layers, dModel, feedForward, vocabSize, tiedHead: language });
}

/** Compares the loss and all gradients of a short batch with those of the reference. */
async function checkTraining(
  config: ModelConfig,
  recipe: TaskRecipe,
  { backend, reference, corpus, pause }: TaskContext,
): Promise<CheckRecord> {
  const batch = await batchesOf({ ...recipe, batch: CHECKED.batch, lengths: [CHECKED.length] }, corpus).next();
  const valuesOf = async (one: Backend) => {
    await pause();
    const model = await TrainableModel.create(one, config, initialParameters(config, { seed: recipe.seed }));
    try {
      return await gradientsOf(model, batch);
    } finally {
      model.dispose();
    }
  };
  const expected = await valuesOf(reference);
  return compareValues(await valuesOf(backend), expected, {
    tolerance: MODEL_GRADIENTS_TOLERANCE.relative,
    checked: `this model on ${CHECKED.batch} × ${CHECKED.length} tokens: loss, gradients and their norm`,
  });
}

type Trained = Omit<TaskRow, 'task' | 'system' | 'label' | 'backend' | 'layers' | 'parameters' | 'state' | 'check'>;

async function trainAndTest(
  config: ModelConfig,
  recipe: TaskRecipe,
  title: string,
  context: TaskContext,
): Promise<Trained> {
  const { backend, corpus, signal } = context;
  const { seed, steps, peak, warmup, weightDecay } = recipe;
  const model = await TrainableModel.create(backend, config, initialParameters(config, { seed }));
  let trainer: Trainer | undefined;
  try {
    trainer = new Trainer(model, batchesOf(recipe, corpus), {
      ...{ steps, peak, warmup, weightDecay, end: peak / 20, maxNorm: 1, beta1: 0.9, beta2: 0.95 },
    });
    const trained = await runSteps(trainer, recipe, title, context);
    if (trained.status !== 'measured') return trained;
    context.begin(`${title}, testing`);
    const whole = await model.model();
    try {
      return { ...trained, ...(await test(whole, recipe, corpus, signal)) };
    } finally {
      whole.dispose();
    }
  } finally {
    trainer?.dispose();
    model.dispose();
  }
}

/** All steps, or as many as it takes to know that they would take too long. */
async function runSteps(
  trainer: Trainer,
  { lengths, steps }: TaskRecipe,
  title: string,
  { now, seconds: allowed, signal, begin }: TaskContext,
): Promise<Trained> {
  // A shape of batches is computed call by call when it comes first, and captured when it comes again.
  const prepared = Math.min(2 * lengths.length, steps - 1);
  const last = Math.max(1, Math.floor(steps / 10));
  let losses = 0;
  let tokens = 0;
  const run = async (until: number): Promise<void> => {
    begin(`${title}, step ${trainer.step} of ${steps}`);
    await trainer.run({
      until,
      signal,
      onStep: ({ step, loss, tokens: fed }) => {
        if (step > steps - last) losses += loss;
        tokens = fed;
      },
    });
  };
  await run(prepared);
  const [start, before] = [now(), tokens];
  const rate = (): number => ((tokens - before) * 1000) / Math.max(now() - start, 1e-6);
  const paced = Math.min(prepared + PACE * lengths.length, steps);
  await run(paced);
  const expected = ((now() - start) / 1000) * ((steps - prepared) / (paced - prepared));
  if (expected > allowed) {
    const reason = `its steps would take about ${expected.toPrecision(2)} s, where ${allowed} s are allowed`;
    return { status: 'stopped', expected, reason, perSecond: rate() };
  }
  for (let until = paced; until < steps; ) {
    until = Math.min(steps, until + last);
    await run(until);
  }
  return { status: 'measured', seconds: (now() - start) / 1000, perSecond: rate(), loss: losses / last };
}

async function test(
  model: Model,
  { task, testLengths, sequences, testSeed }: TaskRecipe,
  bytes: Uint8Array | undefined,
  signal: AbortSignal | undefined,
): Promise<Pick<TaskRow, 'accuracy' | 'heldOut'>> {
  if (task !== 'language')
    return {
      accuracy: [...(await accuracy(model, TASKS[task], { lengths: testLengths, sequences, seed: testSeed, signal }))],
    };
  const { heldOut } = corpusOf(bytes).split(HELD_OUT);
  const found: NonNullable<TaskRow['heldOut']> = [];
  for (const length of testLengths) {
    // As many tokens at every length.
    const windows = Math.max(1, Math.floor((sequences * testLengths[0]!) / length));
    const { loss, targets } = await evaluateLoss(model, windowsInOrder(heldOut, { batch: 16, length, windows }), {
      signal,
    });
    found.push({ length, targets, bitsPerByte: loss / Math.LN2 });
  }
  return { heldOut: found };
}

function batchesOf({ task, batch, lengths, seed }: TaskRecipe, bytes: Uint8Array | undefined): BatchSource {
  if (task !== 'language') return taskBatches(TASKS[task], { batch, lengths, seed });
  const { train } = corpusOf(bytes).split(HELD_OUT);
  return shuffledWindows(train, { batch, length: lengths[0]!, seed });
}

/** The text as tokens, one a byte. */
function corpusOf(bytes: Uint8Array | undefined): Corpus {
  if (bytes === undefined)
    throw new MambaError('invalid-argument', 'a language is learnt from a text', {
      origin: 'versus.corpus',
      remedy: 'Give one by --corpus FILE.',
    });
  return Corpus.of([byteTokens(bytesSource(bytes, 'the corpus'))]);
}
