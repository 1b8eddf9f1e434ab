/** Greedy decoding on webgpu over batches of growing size, by the host's clock, and device time by kernel. */
import { type Backend, createModel, type Model } from '@mamba/core';
import { countersOf, profileOf, webgpu } from '@mamba/webgpu';
import { modelShape } from '../../cases/model-work.ts';
import type { Heat } from './heater.ts';
import { configOf, namesOf, reportProfile } from './models.ts';
import { repeatedWeights } from './operands.ts';
import { type Session, withDevice } from './session.ts';

const BATCHES = [1, 4, 8, 16, 32, 64, 128, 256] as const;
/** Tokens that a row has to get alike alone and among others. */
const COMPARED = 4;
/** The batch that is profiled by kernel. */
const PROFILED = 64;

export function batches(session: Session): Promise<void> {
  const { quick, precisions, dtypes } = session;
  return withDevice(session, async (device, heat) => {
    for (const name of namesOf(session, ['mamba-130m'])) {
      const config = configOf(name, quick);
      const weights = repeatedWeights(config, heat);
      for (const matrixPrecision of precisions) {
        for (const dtype of dtypes.length > 0 ? dtypes : (['float16'] as const)) {
          for (const profile of [false, true]) {
            const backend = await webgpu({ device, matrixPrecision, profile }).create();
            try {
              if (matrixPrecision !== 'float32' && backend.details.matrixUnits === 'not used') continue;
              const model = await createModel(backend, config, weights, { weights: dtype });
              const sizes = quick ? [1, 17] : profile ? [PROFILED] : BATCHES;
              const run = { name: `decode ${name} ${dtype} ${matrixPrecision}`, backend, model, heat };
              for (const batch of sizes) await (profile ? profiled : timed)(session, { ...run, batch });
              model.dispose();
            } finally {
              await backend.dispose();
            }
          }
        }
      }
    }
  });
}

interface Run {
  readonly name: string;
  readonly backend: Backend;
  readonly model: Model;
  readonly heat: Heat | undefined;
  readonly batch: number;
}

async function timed({ quick, report }: Session, run: Run): Promise<void> {
  const { name, backend, batch, heat } = run;
  const count = quick ? 2 : 64;
  const alone = await generate({ ...run, batch: 1 }, COMPARED);
  const together = await generate(run, COMPARED);
  await generate(run, count);
  heat?.(500);
  const before = countersOf(backend).dispatches;
  const times: number[] = [];
  for (let sample = 0; sample < (quick ? 1 : 5); sample++) times.push((await generate(run, count)).milliseconds);
  const dispatches = (countersOf(backend).dispatches - before) / times.length / count;
  const least = Math.min(...times);
  report({
    name,
    microseconds: (1000 * least) / count,
    batch,
    'tokens/s': (batch * count) / (least / 1000),
    dispatches,
    'same ids as alone': alone.first.every((id, step) => id === together.first[step]) ? 'yes' : 'no',
  });
}

async function profiled({ report, quick }: Session, run: Run): Promise<void> {
  const { name, backend, batch, heat } = run;
  const count = quick ? 2 : 16;
  await generate(run, count);
  heat?.(500);
  await profileOf(backend);
  await generate(run, count);
  reportProfile(report, `${name} batch ${batch}`, await profileOf(backend), count);
}

/** A generation of `count` tokens a row: the first row's ids, and the milliseconds that it took. */
async function generate({ backend, model, batch }: Pick<Run, 'backend' | 'model' | 'batch'>, count: number) {
  const begin = performance.now();
  const { ids, state } = model.decode(firstIds(model, batch), undefined, { count });
  const values = await backend.read(ids);
  const milliseconds = performance.now() - begin;
  ids.dispose();
  state.dispose();
  return { first: values.subarray(0, count), milliseconds };
}

function firstIds(model: Model, batch: number): number[][] {
  const { vocabSize } = modelShape(model.config);
  return Array.from({ length: batch }, (_, row) => [(7 + 31 * row) % vocabSize]);
}
