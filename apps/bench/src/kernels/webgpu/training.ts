/**
 * Whole steps of training on webgpu by the host's clock, as a `Trainer` makes them: forward, backward, clipping and
 * AdamW, call by call and replayed from captures. Both have to come to the same losses.
 */
import { MAMBA_SIZES, modelConfig, type ParameterSource } from '@mamba/core';
import { type BatchSource, initialParameters, TrainableModel, Trainer } from '@mamba/train';
import { type MatrixPrecision, webgpu } from '@mamba/webgpu';
import { type BatchShape, HEADS, LEARNING_RATE, randomTokens, type Subject, step } from '../../cases/train.ts';
import type { Heat } from './heater.ts';
import { kept } from './models.ts';
import { type Session, withDevice } from './session.ts';

interface Trained extends Pick<Subject, 'name' | 'config' | 'draw'> {
  readonly shapes: readonly (BatchShape & Steps)[];
}

interface Steps {
  /**
   * Steps before the timed ones. The first is computed call by call, and the second is captured; on an H100 all of them
   * take a second or more, in which its clocks rise.
   */
  readonly warmUp: number;
  /** Steps that are timed. */
  readonly steps: number;
}

const MODELS: readonly Trained[] = [
  {
    name: 'mamba-130m',
    config: modelConfig(MAMBA_SIZES['mamba-130m']),
    draw: randomTokens(MAMBA_SIZES['mamba-130m'].vocabSize),
    shapes: [
      { batch: 1, length: 2048, warmUp: 20, steps: 20 },
      { batch: 8, length: 512, warmUp: 10, steps: 12 },
      { batch: 8, length: 2048, warmUp: 4, steps: 6 },
    ],
  },
  { ...HEADS, name: 'induction-heads', shapes: [{ batch: 8, length: 256, warmUp: 800, steps: 400 }] },
];

const QUICK: readonly Trained[] = [
  { ...HEADS, name: 'induction-heads', shapes: [{ batch: 2, length: 16, warmUp: 3, steps: 2 }] },
];

/** All ways take turns so many times. */
const ROUNDS = 2;

interface Way {
  readonly captured: boolean;
  readonly matrixPrecision: MatrixPrecision;
}

export function training(session: Session): Promise<void> {
  const { quick, precisions, fail } = session;
  // A training captures its steps; what that gains is told in float32 alone.
  const ways = precisions.flatMap((matrixPrecision): readonly Way[] =>
    (matrixPrecision === 'float32' ? [false, true] : [true]).map((captured) => ({ captured, matrixPrecision })),
  );
  return withDevice(session, async (device, heat) => {
    for (const model of quick ? QUICK : MODELS) {
      const source = kept(initialParameters(model.config, { seed: 1 }));
      for (const shape of model.shapes) {
        const losses = new Map<MatrixPrecision, readonly number[]>();
        for (let round = 1; round <= (quick ? 1 : ROUNDS); round++) {
          for (const way of ways) {
            try {
              await measure(session, { device, heat, model, source, shape, way, round, losses });
            } catch (error) {
              fail(`training ${model.name} ${shape.batch} × ${shape.length} ${way.matrixPrecision}`, error);
            }
          }
        }
      }
    }
  });
}

interface Run {
  readonly device: GPUDevice;
  readonly heat: Heat | undefined;
  readonly model: Trained;
  readonly source: ParameterSource;
  readonly shape: BatchShape & Steps;
  readonly way: Way;
  readonly round: number;
  /** The losses of all steps, from the first run of each precision. */
  readonly losses: Map<MatrixPrecision, readonly number[]>;
}

async function measure(session: Session, run: Run): Promise<void> {
  const { device, heat, model: trained, source, shape, way, round, losses } = run;
  const { captured, matrixPrecision } = way;
  const backend = await webgpu({ device, matrixPrecision }).create();
  try {
    if (matrixPrecision !== 'float32' && backend.details.matrixUnits === 'not used') return;
    const model = await TrainableModel.create(backend, trained.config, source);
    const batch = await trained.draw(shape);
    const steps = shape.warmUp + shape.steps;
    let [begun, begin, end] = [0, 0, 0];
    const data: BatchSource = {
      // A trainer reads the loss of a step after it has begun the next one. The device is idle as the clock starts and
      // as it ends, so that the time is that of whole steps.
      async next() {
        if (begun++ === shape.warmUp) {
          await backend.synchronize();
          begin = performance.now();
        }
        return batch;
      },
      state: () => ({}),
      restore() {},
    };
    const options = { steps, peak: LEARNING_RATE, kind: 'constant', warmup: 0, capture: captured } as const;
    const trainer = new Trainer(model, data, options);
    const own: number[] = [];
    heat?.(500);
    await trainer.run({
      onStep({ loss }) {
        end = performance.now();
        own.push(loss);
      },
    });
    const expected = losses.get(matrixPrecision) ?? own;
    losses.set(matrixPrecision, expected);
    const different = own.findIndex((loss, index) => loss !== expected[index]);
    if (different >= 0)
      throw new Error(`step ${different + 1} has a loss of ${own[different]}, and had ${expected[different]} before`);
    const milliseconds = (end - begin) / shape.steps;
    session.report({
      name: `train ${trained.name} ${captured ? 'captured' : 'plain'}`,
      microseconds: 1000 * milliseconds,
      batch: shape.batch,
      length: shape.length,
      matrixPrecision,
      round,
      'tokens/s': (1000 * shape.batch * shape.length) / milliseconds,
      // The least memory that such a step needs. A capture holds about as much for as long as it lives.
      'GB at most': captured ? undefined : backend.peakBytes(() => step(model, trainer.optimiser, batch)) / 1e9,
      loss: own[0],
    });
  } finally {
    await backend.dispose();
  }
}
