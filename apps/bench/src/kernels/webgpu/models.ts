/**
 * Whole models on webgpu: greedy decoding and prefill by the host's clock, the share of encoding, and device time by
 * kernel.
 */
import { seededWeights } from '@mamba/conformance';
import {
  type Backend,
  createModel,
  type HostTensor,
  MAMBA_SIZES,
  type Model,
  type ModelConfig,
  modelConfig,
  type ParameterSource,
} from '@mamba/core';
import { countersOf, type MatrixPrecision, type ProfileEntry, profileOf, webgpu } from '@mamba/webgpu';
import { modelShape } from '../../cases/model-work.ts';
import type { Heat } from './heater.ts';
import { repeatedWeights } from './operands.ts';
import { KERNEL_MODELS, type ModelName, type Session, withDevice } from './session.ts';
import { warmUp } from './timing.ts';

export function configOf(name: ModelName, quick: boolean): ModelConfig {
  return modelConfig(quick ? { layers: 2, dModel: 64, vocabSize: 500 } : MAMBA_SIZES[name]);
}

export function namesOf({ quick, models }: Session, own: readonly ModelName[]): readonly ModelName[] {
  return quick ? ['mamba-130m'] : models.length > 0 ? models : own;
}

/** The small model is profiled by kernel as well. */
const profiles = (name: ModelName): readonly boolean[] => (name === 'mamba-130m' ? [false, true] : [false]);

interface ModelRun {
  readonly name: string;
  readonly backend: Backend;
  readonly model: Model;
  /** Times by kernel, from the device's timestamps. */
  readonly profile: boolean;
}

export async function models(session: Session): Promise<void> {
  const { quick, toggles, dtypes } = session;
  for (const name of namesOf(session, ['mamba-130m'])) {
    const config = configOf(name, quick);
    const small = name === 'mamba-130m';
    const weights = small ? kept(seededWeights(config, 1)) : repeatedWeights(config, undefined);
    const own = small ? (['float32', 'float16', 'q8', 'q4'] as const) : (['float16'] as const);
    for (const dtype of dtypes.length > 0 ? dtypes : own) {
      for (const profile of profiles(name)) {
        const backend = await webgpu({ toggles, profile }).create();
        try {
          const model = await createModel(backend, config, weights, { weights: dtype });
          const run = { name: `${name} ${dtype}`, backend, model, profile };
          await decode(session, run);
          await prefill(session, run);
        } finally {
          await backend.dispose();
        }
      }
    }
  }
}

/** A source whose parameters are made once and kept. */
export function kept(source: ParameterSource): ParameterSource {
  const known = new Map<string, HostTensor | Promise<HostTensor>>();
  return (parameter) => {
    const value = known.get(parameter.name) ?? source(parameter);
    known.set(parameter.name, value);
    return value;
  };
}

async function decode({ quick, report }: Session, { name, backend, model, profile }: ModelRun): Promise<void> {
  const count = quick ? 4 : 128;
  const generate = async (tokens: number): Promise<[whole: number, encoding: number]> => {
    const begin = performance.now();
    const { ids, state } = model.decode([[7]], undefined, { count: tokens });
    const encoded = performance.now();
    await backend.read(ids);
    ids.dispose();
    state.dispose();
    return [performance.now() - begin, encoded - begin];
  };
  // Clocks rise while there is work.
  await warmUp(quick ? 1 : 1500, () => generate(count));
  if (profile) {
    const tokens = quick ? 2 : 16;
    await profileOf(backend);
    await generate(tokens);
    reportProfile(report, `decode ${name}`, await profileOf(backend), tokens);
    return;
  }
  const before = countersOf(backend).dispatches;
  const runs: [number, number][] = [];
  for (let run = 0; run < (quick ? 1 : 6); run++) runs.push(await generate(count));
  const dispatches = (countersOf(backend).dispatches - before) / runs.length / count;
  const [whole, encoding] = runs.reduce((best, run) => (run[0] < best[0] ? run : best));
  report({
    name: `decode ${name}`,
    microseconds: (1000 * whole) / count,
    'GB/s': backend.memory().bytes / ((1e6 * whole) / count),
    'tokens/s': count / (whole / 1000),
    dispatches,
    'µs to encode a dispatch': (1000 * encoding) / count / dispatches,
  });
}

async function prefill({ quick, report }: Session, { name, backend, model, profile }: ModelRun): Promise<void> {
  for (const length of quick ? [16] : [512, 2048]) {
    const once = () => forward(backend, model, prompts(model, 1, length));
    for (let run = 0; run < (quick ? 1 : 6); run++) await once();
    if (profile) {
      await profileOf(backend);
      await once();
      reportProfile(report, `prefill ${length} ${name}`, await profileOf(backend), 1);
      continue;
    }
    let least = Number.POSITIVE_INFINITY;
    for (let run = 0; run < (quick ? 1 : 8); run++) least = Math.min(least, await once());
    report({ name: `prefill ${name}`, microseconds: 1000 * least, length, 'tokens/s': length / (least / 1000) });
  }
}

type Prompt = readonly [batch: number, length: number];

const PROMPTS: Readonly<Record<ModelName, readonly Prompt[]>> = {
  'mamba-130m': [
    [1, 512],
    [1, 2048],
    [8, 2048],
    [16, 2048],
  ],
  'mamba-370m': [
    [1, 2048],
    [8, 2048],
  ],
  'mamba-1.4b': [
    [1, 2048],
    [4, 2048],
  ],
  'mamba-2.8b': [
    [1, 2048],
    [4, 2048],
  ],
};

/** Prefill with weights in halves, for each precision of the products: tokens a second over batches and lengths. */
export function prefills(session: Session): Promise<void> {
  const { quick, precisions, fail } = session;
  return withDevice(session, async (device, heat) => {
    for (const name of namesOf(session, KERNEL_MODELS)) {
      const config = configOf(name, quick);
      const weights = repeatedWeights(config, heat);
      for (const matrixPrecision of precisions) {
        for (const profile of profiles(name)) {
          const backend = await webgpu({ device, matrixPrecision, profile }).create();
          try {
            if (matrixPrecision !== 'float32' && backend.details.matrixUnits === 'not used') continue;
            const model = await createModel(backend, config, weights, { weights: 'float16' });
            for (const prompt of quick ? ([[2, 40]] as const) : PROMPTS[name])
              await prefillOf(session, { name, backend, model, profile, matrixPrecision, heat, prompt });
            model.dispose();
          } catch (error) {
            fail(`prefill ${name} ${matrixPrecision}`, error);
          } finally {
            await backend.dispose();
          }
        }
      }
    }
  });
}

interface PrefillRun extends ModelRun {
  readonly matrixPrecision: MatrixPrecision;
  readonly heat: Heat | undefined;
  readonly prompt: Prompt;
}

async function prefillOf(
  { quick, report }: Session,
  { name, backend, model, matrixPrecision, profile, heat, prompt: [batch, length] }: PrefillRun,
): Promise<void> {
  const once = () => forward(backend, model, prompts(model, batch, length), length);
  await once();
  if (profile) {
    await profileOf(backend);
    heat?.(300);
    await once();
    reportProfile(report, `prefill ${batch} × ${length} ${name} ${matrixPrecision}`, await profileOf(backend), 1);
    return;
  }
  heat?.(500);
  const times: number[] = [];
  // Ten runs, fewer where they are long.
  const begin = performance.now();
  do times.push(await once());
  while (!quick && times.length < 10 && performance.now() - begin < 2000);
  times.sort((a, b) => a - b);
  const rate = (milliseconds: number): number => (batch * length) / (milliseconds / 1000);
  report({
    name: `prefill ${name} float16`,
    microseconds: 1000 * times[0]!,
    batch,
    length,
    matrixPrecision,
    'tokens/s': rate(times[0]!),
    'tokens/s, median': rate(times[times.length >> 1]!),
  });
}

function prompts(model: Model, batch: number, length: number): number[][] {
  const { vocabSize } = modelShape(model.config);
  return Array.from({ length: batch }, (_, row) =>
    Array.from({ length }, (_, index) => ((index + 7 * row) * 7919) % vocabSize),
  );
}

/** Milliseconds of a prefill by the clock. */
async function forward(backend: Backend, model: Model, ids: number[][], chunk?: number): Promise<number> {
  const begin = performance.now();
  const { logits, state } = model.forward(ids, { logits: 'last', chunk });
  await backend.synchronize();
  const time = performance.now() - begin;
  logits?.dispose();
  state.dispose();
  return time;
}

export function reportProfile(
  report: Session['report'],
  name: string,
  profile: readonly ProfileEntry[],
  tokens: number,
): void {
  for (const { label, dispatches, nanoseconds } of profile)
    report({
      name: `  ${name}`,
      microseconds: nanoseconds / tokens / 1000,
      dispatches: dispatches / tokens,
      'µs a dispatch': nanoseconds / dispatches / 1000,
      label,
    });
}
