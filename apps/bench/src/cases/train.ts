/**
 * Whole steps of training: forward, backward, clipping and AdamW. The induction-heads model of Mamba's paper, small
 * enough that the host may be the limit, over lengths; and a language model of 10 million parameters, most of whose
 * work is matrix products.
 */
import { MODEL_GRADIENTS_TOLERANCE, Random } from '@mamba/conformance';
import {
  type Backend,
  type Capture,
  type ModelConfig,
  modelConfig,
  parameterCount,
  sizeOf,
  type Tensor,
} from '@mamba/core';
import {
  type Batch,
  inductionHeads,
  initialParameters,
  lossAndGradients,
  Optimiser,
  TrainableModel,
  taskBatches,
} from '@mamba/train';
import { type BenchCase, chosen, type Suite, type Values } from './contract.ts';
import { modelShape, modelWork } from './model-work.ts';
import { peakMemory } from './peak-memory.ts';
import { readAll } from './values.ts';
import { trainingWork, type Work } from './work.ts';

export const trainSuite: Suite = {
  name: 'train',
  summary: 'whole steps of training: a small model over lengths, with its memory, and one of 10 M parameters',
  sweep: 'length',
  takes: ['length', 'batch'],
  cases({ effort, slow, shapes }) {
    const expected: Expected = new Map();
    const heads = (batch: number, length: number) => trainCase(HEADS, { batch, length }, expected);
    if (slow) return [16, 32].map((length) => heads(1, length));
    if ([shapes?.length, shapes?.batch].some((values) => values !== undefined && values.length > 0))
      return chosen(shapes?.batch, [1]).flatMap((batch) =>
        chosen(shapes?.length, [256]).map((length) => heads(batch, length)),
      );
    const lengths = {
      quick: [256, 1024],
      standard: [256, 1024, 4096],
      thorough: [8, 9, 10, 11, 12, 13, 14].map((power) => 2 ** power),
    };
    const models = { quick: [], standard: [256], thorough: [256, 1024] };
    return [
      heads(8, 256),
      ...lengths[effort].map((length) => heads(1, length)),
      ...models[effort].map((length) => trainCase(LANGUAGE, { batch: 1, length })),
    ];
  },
};

/** A model and what it is trained on. */
export interface Subject {
  /** The name in the ids of its results. */
  readonly name: string;
  readonly config: ModelConfig;
  draw(shape: BatchShape): Promise<Batch>;
  /** The batch that is checked. */
  readonly checked: BatchShape;
}

export interface BatchShape {
  readonly batch: number;
  readonly length: number;
}

const SEED = 17;

/** The model and the task of section 4.1.2 of arXiv 2312.00752: the loss is on the last token alone. */
export const HEADS: Subject = {
  name: 'heads',
  config: modelConfig({ layers: 2, dModel: 64, vocabSize: 16 }, { tiedHead: false }),
  draw: ({ batch, length }) => taskBatches(inductionHeads(), { batch, lengths: [length], seed: SEED }).next(),
  checked: { batch: 2, length: 24 },
};

/** 10,035,840 parameters, trained on random tokens: the time does not depend on them. */
export const LANGUAGE: Subject = {
  name: 'lm',
  config: modelConfig({ layers: 10, dModel: 384, vocabSize: 1024 }),
  draw: randomTokens(1024),
  checked: { batch: 1, length: 6 },
};

export function randomTokens(vocabSize: number): Subject['draw'] {
  return async ({ batch, length }) => {
    const random = new Random(SEED);
    const tokens = (): Int32Array => Int32Array.from({ length: batch * length }, () => random.integer(vocabSize));
    return { batch, length, ids: tokens(), targets: tokens() };
  };
}

/**
 * So small that the model stays what it was at the beginning, however often a step is repeated: with the values of a
 * trained model, gradients would come down to numbers that processors are slow at.
 */
export const LEARNING_RATE = 1e-7;
/** Gradients of more values are checked by the norm of all of them alone: they would take long to send. */
const CHECKED_VALUES = 2 ** 15;

/** A place for the reference's results. */
type Expected = Map<'values', Promise<Values>>;

/** @param expected Shared by the cases of a subject. */
export function trainCase(subject: Subject, shape: BatchShape, expected: Expected = new Map()): BenchCase {
  const { name, config, checked } = subject;
  const id = `train/${name}-${shape.batch}x${shape.length}`;
  const create = (backend: Backend): Promise<TrainableModel> =>
    TrainableModel.create(backend, config, initialParameters(config, { seed: SEED }));
  return {
    suite: 'train',
    id,
    measurements: [
      {
        id,
        shape: { ...modelShape(config), ...shape },
        items: shape.batch * shape.length,
        unit: 'tokens',
        work: (bytesPerValue) => stepWork(config, shape, bytesPerValue),
      },
    ],
    tolerance: MODEL_GRADIENTS_TOLERANCE.relative,
    checked: `this model on ${checked.batch} × ${checked.length} tokens: loss, gradients and their norm`,
    checkOperations: stepWork(config, checked, 0).operations,
    expected(reference) {
      const compute = async (): Promise<Values> => {
        const model = await create(reference);
        try {
          return await gradientsOf(model, await subject.draw(checked));
        } finally {
          model.dispose();
        }
      };
      const values = expected.get('values') ?? compute();
      expected.set('values', values);
      // A failure is not kept for other cases.
      values.catch(() => expected.delete('values'));
      return values;
    },
    async prepare(backend) {
      const [batch, small] = [await subject.draw(shape), await subject.draw(checked)];
      const meter = peakMemory(backend);
      const model = await create(meter.backend);
      let optimiser: Optimiser;
      try {
        optimiser = new Optimiser(meter.backend, model.parameters);
      } catch (error) {
        model.dispose();
        throw error;
      }
      const call = (): void => step(model, optimiser, batch);
      // Where the backend can, a training captures its steps when they repeat. The memory is that of a step by calls.
      let captured: Capture<void> | undefined;
      const run = (): void => {
        captured ??= meter.backend.capture?.([], call);
        if (captured === undefined) call();
        else captured.replay([]);
      };
      return {
        actual: () => gradientsOf(model, small),
        measured: { [id]: { run } },
        peakBytes: () => meter.during(call),
        dispose() {
          captured?.dispose();
          optimiser.dispose();
          model.dispose();
        },
      };
    },
  };
}

/** What there is to do in one step. */
export function stepWork(config: ModelConfig, { batch, length }: BatchShape, bytesPerValue: number): Work {
  const tokens = batch * length;
  return trainingWork(
    modelWork(config, tokens, tokens, bytesPerValue, { batch }),
    parameterCount(config),
    bytesPerValue,
  );
}

/** One step. What it returns to a training that goes on, the loss and the norm, stays unread. */
export function step(model: TrainableModel, optimiser: Optimiser, batch: Batch): void {
  const { losses, gradients, state } = lossAndGradients(model, batch);
  try {
    optimiser.update(gradients, LEARNING_RATE).dispose();
  } finally {
    for (const held of [losses, state, ...gradients.values()]) held.dispose();
  }
}

/** The loss of a batch, the norm of all gradients, and those gradients that are small. */
export async function gradientsOf(model: TrainableModel, batch: Batch): Promise<Values> {
  const { backend } = model;
  const { losses, gradients, state } = lossAndGradients(model, batch);
  const read: Record<string, Tensor> = {};
  state.dispose();
  try {
    read.norm = backend.gradientNorm([...gradients.values()]);
    const loss = Float64Array.of(await losses.mean());
    for (const [name, gradient] of gradients) {
      if (sizeOf(gradient.shape) <= CHECKED_VALUES) read[name] = gradient;
      else gradient.dispose();
    }
    return { loss, ...(await readAll(backend, read)) };
  } finally {
    losses.dispose();
    for (const tensor of [...gradients.values(), ...Object.values(read)]) tensor.dispose();
  }
}
