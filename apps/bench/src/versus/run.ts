/**
 * Compares systems: backend by backend and system by system, each in memory of its own. A system is checked against the
 * reference first, and is then measured over lengths. A run that is stopped keeps what it has.
 */
import { type Backend, MambaError } from '@mamba/core';
import { reference as referenceProvider } from '@mamba/reference';
import { platform } from '#platform';
import type { Pause } from '../cases/contract.ts';
import { describeDisagreement, messageOf, Stopped } from '../errors.ts';
import type { FoundBackend } from '../machine/backends.ts';
import { VERSUS_KIND } from '../schema/report.ts';
import {
  type Agreement,
  type GenerationRow,
  MEASURES,
  type Measure,
  type SystemRecord,
  type TaskRecipe,
  type TaskRow,
  VERSUS_VERSION,
  type VersusPoint,
  type VersusReport,
} from '../schema/versus.ts';
import { version } from '../version.ts';
import { checkAgreement, type ReferenceValues, WHOLE } from './agreement.ts';
import { crossingsOf } from './crossings.ts';
import { type GenerationOptions, measureGeneration } from './generation.ts';
import { measurePoints } from './points.ts';
import { hostParameters } from './subject.ts';
import { defineSystems, type SizedSystem, type System, sizeSystem } from './systems.ts';
import { measureTask } from './tasks/measure.ts';
import { TASK_MODELS } from './tasks/models.ts';

/** What is measured of the blocks, and how long and how large it may get. */
export interface VersusSizes {
  readonly dModel: number;
  /** Sequences at once. */
  readonly batch: number;
  readonly lengths: readonly number[];
  /** Default: all. */
  readonly measures?: readonly Measure[] | undefined;
  /** Seconds that one call may take. Default 5. */
  readonly seconds?: number | undefined;
  /** Milliseconds for the samples of a point. Default 250. */
  readonly budget?: number | undefined;
  /** Bytes that one call may take. Default: what the backend says that it has, and most of the memory that is free. */
  readonly memory?: number | undefined;
}

export interface VersusOptions extends VersusSizes {
  /** Backends that run here, with their providers; the others are listed with their reasons. */
  readonly backends: readonly FoundBackend[];
  readonly systems: readonly System[];
  /** Generation by whole models. Default: none. */
  readonly generation?: GenerationOptions | undefined;
  /** Models that are trained and tested. Default: none. */
  readonly tasks?: TaskOptions | undefined;
  /** Milliseconds of the processor, to time one thread on a busy machine. Default: the clock's. */
  readonly processorTime?: (() => number) | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly observer?: VersusObserver | undefined;
}

export interface TaskOptions {
  readonly recipes: readonly TaskRecipe[];
  /** Seconds that one training may take. */
  readonly seconds: number;
  /** The text that language models learn, where a recipe is of that. */
  readonly corpus?: Uint8Array | undefined;
}

/** Receives a run's progress. A part is a point of the plots. */
export interface VersusObserver {
  begin?(parts: number): void;
  step?(label: string): void;
  advance?(parts: number): void;
  /** A part is done; `report` holds what there is so far. */
  partial?(report: VersusReport): void;
}

const DEFAULTS = { seconds: 5, budget: platform.small ? 10 : 250 };
/** Bytes that a call may take where neither the backend nor the user says. */
const UNTOLD_MEMORY = 8 * 2 ** 30;
/** A training takes about as long as so many points. */
const PARTS_OF_TRAINING = 10;

/** @throws MambaError `invalid-argument` where there is nothing to compare. */
export async function runVersus(options: VersusOptions): Promise<VersusReport> {
  defineSystems();
  const { backends, dModel, batch, measures = MEASURES, processorTime, signal, observer = {} } = options;
  const now = processorTime ?? (() => performance.now());
  const { seconds = DEFAULTS.seconds, budget = DEFAULTS.budget } = options;
  const lengths = [...new Set(options.lengths)].sort((a, b) => a - b);
  const blocks = options.systems.length * lengths.length * measures.length;
  if (blocks === 0 && options.generation === undefined && options.tasks === undefined)
    throw new MambaError('invalid-argument', 'there is nothing to compare', {
      origin: 'versus',
      expected: 'at least one system, length and measure',
    });
  const longest = lengths.at(-1) ?? 1;
  const systems = options.systems.map((system) => sizeSystem(system, dModel, longest));
  const startedAt = new Date().toISOString();
  const machine = platform.machineFacts();
  const agreements: Agreement[] = [];
  const points: VersusPoint[] = [];
  const generation: GenerationRow[] = [];
  const tasks: TaskRow[] = [];
  const pause: Pause = async () => {
    await platform.tick();
    if (signal?.aborted) throw new Stopped();
  };
  const snapshot = (interrupted: boolean): VersusReport => ({
    kind: VERSUS_KIND,
    schemaVersion: VERSUS_VERSION,
    tool: { name: '@mamba/bench', version },
    startedAt,
    finishedAt: new Date().toISOString(),
    interrupted,
    settings: {
      ...{ dModel, batch, lengths, measures: [...measures], seconds },
      ...(processorTime !== undefined && { clock: 'processor' as const }),
    },
    machine,
    backends: backends.map(({ record }) => record),
    systems: systems.map(recordOf),
    agreements: [...agreements],
    points: [...points],
    crossings: crossingsOf(points),
    generation: [...generation],
    ...(options.tasks !== undefined && { recipes: [...options.tasks.recipes], tasks: [...tasks] }),
  });
  const advanceOne = (): void => {
    observer.advance?.(1);
    observer.partial?.(snapshot(false));
  };
  const ready = backends.filter(({ provider }) => provider !== undefined);
  const partsOfSystem = blocks === 0 ? 0 : 1 + measures.length * lengths.length;
  const { models = [], prompts = [], batches = [] } = options.generation ?? {};
  const partsOfModels = models.length * prompts.length * batches.length;
  const recipes = options.tasks?.recipes ?? [];
  const learners = TASK_MODELS.flatMap((model) => {
    const system = options.systems.find(({ name }) => name === model.system);
    return system === undefined ? [] : [{ model, label: system.label }];
  });
  const partsOfTasks = recipes.length * learners.length * PARTS_OF_TRAINING;
  observer.begin?.(ready.length * (systems.length * partsOfSystem + partsOfModels + partsOfTasks));
  const known: ReferenceValues = new Map();
  const reference = await referenceProvider().create();
  try {
    for (const found of ready) {
      for (const system of blocks === 0 ? [] : systems) {
        let parts = partsOfSystem;
        const advance = (): void => {
          parts--;
          advanceOne();
        };
        await withBackend(found, async (backend) => {
          const { name } = found.record;
          observer.step?.(`${system.label} on ${name}: checking`);
          await pause();
          const trained = measures.includes('train') && canTrain(backend);
          const agreement = await agreementOf(backend, { system, dModel, trained }, reference, known, pause);
          agreements.push({ system: system.name, backend: name, ...agreement });
          advance();
          if (agreement.status !== 'agrees') return;
          const parameters = await hostParameters(system, dModel);
          await measurePoints(system, parameters, {
            ...{ backend, name, dModel, batch, lengths, seconds, budget, pause, now },
            measures: measures.filter((measure) => trained || measure !== 'train'),
            memory: options.memory ?? memoryOf(backend, found),
            begin: (measure, length) => observer.step?.(`${system.label} on ${name}: ${measure}, length ${length}`),
            add(point) {
              points.push(point);
              advance();
            },
          });
        });
        observer.advance?.(parts);
      }
      for (const model of models)
        await withBackend(found, (backend) =>
          measureGeneration(model, options.generation!, {
            ...{ backend, reference, pause, now, name: found.record.name },
            memory: options.memory ?? memoryOf(backend, found),
            begin: (label) => observer.step?.(label),
            add(row) {
              generation.push(row);
              advanceOne();
            },
          }),
        );
      for (const recipe of recipes)
        for (const { model, label } of learners)
          await withBackend(found, async (backend) => {
            const row = await measureTask(model, label, recipe, {
              ...{ backend, reference, pause, now, signal, name: found.record.name },
              ...{ seconds: options.tasks!.seconds, corpus: options.tasks!.corpus },
              begin: (step) => observer.step?.(step),
            });
            tasks.push(row);
            observer.advance?.(PARTS_OF_TRAINING);
            observer.partial?.(snapshot(false));
          });
    }
    return snapshot(false);
  } catch (error) {
    if (!(error instanceof Stopped)) throw error;
    return snapshot(true);
  } finally {
    await reference.dispose();
  }
}

/** Each system gets a backend of its own, so that nothing of another one is in its memory. */
async function withBackend({ provider }: FoundBackend, body: (backend: Backend) => Promise<void>): Promise<void> {
  platform.collectGarbage();
  const backend = await provider!.create();
  try {
    await body(backend);
  } finally {
    await backend.dispose();
  }
}

async function agreementOf(
  backend: Backend,
  { system, dModel, trained }: Omit<Parameters<typeof checkAgreement>[1], 'parameters'>,
  reference: Backend,
  known: ReferenceValues,
  pause: Pause,
): Promise<Pick<Agreement, 'status' | 'check' | 'reason'>> {
  try {
    // Weights for each place of a long sequence would be too many for the reference, which sees short ones.
    const short = sizeSystem(system, dModel, WHOLE);
    const subject = { system: short, dModel, trained, parameters: await hostParameters(short, dModel) };
    const check = await checkAgreement(backend, subject, reference, known, pause);
    return check.pass
      ? { status: 'agrees', check }
      : { status: 'disagrees', check, reason: describeDisagreement(check) };
  } catch (error) {
    if (error instanceof Stopped) throw error;
    return { status: 'failed', reason: messageOf(error) };
  }
}

function canTrain(backend: Backend): boolean {
  const shape = { shape: [1, 1], dtype: backend.precision };
  return backend.supports('linearBackward', shape, shape, undefined, shape).supported;
}

/** Bytes that a call may take: of the backend's own memory, and of the machine's where both are the same. */
function memoryOf(backend: Backend, { known, record }: FoundBackend): number {
  const told = backend.memory().limit ?? UNTOLD_MEMORY;
  const shared = known.onProcessor || record.slow !== undefined;
  return Math.floor(shared ? Math.min(told, 0.8 * platform.availableMemory()) : told);
}

function recordOf({ name, label, short, block, parameters, grows, remembers }: SizedSystem): SystemRecord {
  const { kind, ...sizes } = block;
  const config: SystemRecord['config'] = {};
  for (const [key, value] of Object.entries(sizes as Readonly<Record<string, unknown>>))
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') config[key] = value;
  return { name, label, ...(short !== undefined && { short }), kind, config, parameters, grows, remembers };
}
