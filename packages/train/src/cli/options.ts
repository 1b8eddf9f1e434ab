/** Every option of the command line and of its config files: one table, from which both are read and checked. */
import { invalid } from '@mamba/core';
import { checkBoolean, checkInteger, checkOneOf } from '@mamba/core/toolkit';

export const TASKS = ['lm', 'induction-heads', 'selective-copying'] as const;
export type TaskName = (typeof TASKS)[number];

/** The rounding that products may use; see `matrixPrecision` of `@mamba/webgpu`. */
export const PRECISIONS = ['float32', 'float16x2', 'float16'] as const;
export type MatrixPrecision = (typeof PRECISIONS)[number];

/** The blocks that a new model may have. */
export const MIXERS = ['mamba', 'mamba2', 'time-invariant'] as const;
export type Mixer = (typeof MIXERS)[number];

/** The options of a training, complete. Those of other tasks are absent. */
export interface Config {
  readonly task: TaskName;
  readonly backend?: string;
  readonly out: string;
  readonly resume: boolean;
  readonly json: boolean;
  readonly seed: number;
  readonly steps: number;
  readonly batch: number;
  readonly accumulation: number;
  readonly lr: number;
  readonly schedule: 'cosine' | 'constant';
  readonly warmup: number;
  readonly lastLr: number;
  readonly weightDecay: number;
  readonly clip: number;
  readonly labelSmoothing: number;
  readonly checkpointing: boolean;
  readonly precision: MatrixPrecision;
  readonly layers: number;
  readonly dModel: number;
  readonly dState: number;
  readonly evalEvery: number;
  readonly saveEvery: number;
  readonly keep: number;
  readonly files?: readonly string[];
  readonly length?: number;
  readonly carry?: boolean;
  readonly heldOut?: number;
  readonly evalWindows?: number;
  readonly tokenizer?: string;
  readonly tokenType?: 'uint16' | 'uint32';
  readonly vocab?: number;
  readonly endToken?: number;
  readonly mixer: Mixer;
  readonly init?: string;
  readonly lora?: number;
  readonly loraAlpha?: number;
  readonly loraTargets?: readonly string[];
  readonly lengths?: readonly number[];
  readonly testLengths?: readonly number[];
  readonly testSequences?: number;
  readonly dataTokens?: number;
}

export type OptionKey = Exclude<keyof Config, 'task' | 'files'>;

interface Kind {
  /** How help names the value; undefined for a switch. */
  readonly value?: string | undefined;
  /** The value that a text stands for; the text itself where it stands for none. */
  parse(text: string): unknown;
  /** @throws MambaError `invalid-argument` */
  check(origin: string, value: unknown): void;
}

/** The headings of the help. */
export type Group = 'Run:' | 'Optimisation:' | 'Model:' | 'Data:';

export interface Option extends Kind {
  readonly group: Group;
  readonly key: OptionKey;
  readonly help: string;
  /** Undefined where the option may be absent. */
  readonly default: unknown;
  /** The tasks that have the option. */
  readonly tasks: readonly TaskName[];
  /** Whether a training that goes on may change it. */
  readonly free: boolean;
}

const number = (text: string): unknown => (text.trim() === '' || Number.isNaN(Number(text)) ? text : Number(text));

const count = (least = 1): Kind => ({
  ...{ value: '<count>', parse: number },
  check: (origin, value) => checkInteger(origin, value as number, least),
});
const real = (min: number, max = Number.POSITIVE_INFINITY): Kind => ({
  ...{ value: '<number>', parse: number },
  check(origin, value) {
    if (typeof value === 'number' && value >= min && value <= max && Number.isFinite(value)) return;
    throw invalid(
      origin,
      String(value),
      `a number ${max === Number.POSITIVE_INFINITY ? `of at least ${min}` : `from ${min} to ${max}`}`,
    );
  },
});
const text = (value: string): Kind => ({
  ...{ value, parse: (given) => given },
  check(origin, given) {
    if (typeof given !== 'string' || given === '') throw invalid(origin, JSON.stringify(given), 'a text');
  },
});
const choice = (...values: readonly string[]): Kind => ({
  ...{ value: `<${values.join('|')}>`, parse: (given) => given },
  check: (origin, value) => checkOneOf(origin, value as string, values),
});
const flag: Kind = { parse: () => true, check: (origin, value) => checkBoolean(origin, value as boolean) };
const counts: Kind = {
  ...{ value: '<count,…>', parse: (given) => given.split(',').map(number) },
  check(origin, value) {
    if (!Array.isArray(value) || value.length === 0) throw invalid(origin, JSON.stringify(value), 'a list of integers');
    for (const item of value) checkInteger(origin, item, 1);
  },
};

const texts: Kind = {
  ...{ value: '<name,…>', parse: (given) => given.split(',') },
  check(origin, value) {
    if (!Array.isArray(value) || value.length === 0 || value.some((item) => typeof item !== 'string' || item === ''))
      throw invalid(origin, JSON.stringify(value), 'a list of names');
  },
};

interface Details {
  readonly default?: unknown;
  readonly tasks?: readonly TaskName[];
  /** Default true where the option is in the group of a run or of its optimisation. */
  readonly free?: boolean;
}

/** An option of a group. */
function of(group: Group) {
  return (key: OptionKey, kind: Kind, help: string, details: Details = {}): Option => {
    const { default: value, tasks = TASKS, free = FREE_GROUPS.includes(group) } = details;
    return { ...kind, group, key, help, default: value, tasks, free };
  };
}

/** A default that depends on the task. */
const byTask = (lm: unknown, heads: unknown, copying: unknown) => ({
  ...{ lm, 'induction-heads': heads, 'selective-copying': copying },
});
const LM = ['lm'] as const;
const SYNTHETIC = ['induction-heads', 'selective-copying'] as const;
/** A training that goes on keeps its model and its data; the rest may change. */
const FREE_GROUPS: readonly Group[] = ['Run:', 'Optimisation:'];

const run = of('Run:');
const optimisation = of('Optimisation:');
const model = of('Model:');
const data = of('Data:');

export const OPTIONS: readonly Option[] = [
  run('backend', text('<name>'), 'cpu, webgpu, reference, a package or a module (default: the first that runs)'),
  run('out', text('<folder>'), 'where saves and metrics.jsonl go', { default: 'mamba-run' }),
  run('resume', flag, 'go on from the last save in that folder, if there is one', { default: false }),
  run('steps', count(), 'updates of the weights', { default: byTask(1000, 13000, 20000) }),
  run('evalEvery', count(), 'steps between two evaluations', { default: 500 }),
  run('saveEvery', count(), 'steps between two saves', { default: 500 }),
  run('keep', count(), 'saves that are kept, the newest ones', { default: 2 }),
  run('json', flag, 'print every step and evaluation as a line of JSON', { default: false }),
  optimisation('lr', real(0), 'the largest learning rate', { default: 1e-3 }),
  optimisation('schedule', choice('cosine', 'constant'), 'the learning rate after the warm-up', { default: 'cosine' }),
  optimisation('warmup', count(0), 'steps up to the largest rate (default: a tenth of all steps, at most 200)'),
  optimisation('lastLr', real(0, 1), 'the last rate of a cosine, as a share of the largest', { default: 0.05 }),
  optimisation('weightDecay', real(0), 'decoupled decay of the matrices', { default: byTask(0.1, 0, 0) }),
  optimisation('clip', real(0), 'the largest norm of the gradients', { default: 1 }),
  optimisation('labelSmoothing', real(0, 1), 'share of each target that is spread over all tokens', { default: 0 }),
  optimisation('accumulation', count(), 'batches whose gradients are added up for one step', { default: 1 }),
  optimisation('checkpointing', flag, 'compute layers twice: less memory, a third more time', { default: false }),
  optimisation(
    'precision',
    choice(...PRECISIONS),
    'of webgpu, where there are matrix units: factors of products as pairs of halves (near float32), or as halves',
    { default: 'float32' },
  ),
  model('layers', count(), 'layers', { default: byTask(4, 2, 2) }),
  model('dModel', count(), 'width', { default: byTask(128, 64, 64) }),
  model('dState', count(), 'states of each channel', { default: 16 }),
  model('mixer', choice(...MIXERS), 'the blocks; time-invariant ones select nothing (S4D)', { default: 'mamba' }),
  model('init', text('<checkpoint>'), 'fine-tune this model, in place of a new one', { tasks: LM }),
  model('lora', count(), 'fine-tune by adapters of this rank, and keep the matrices', { tasks: LM }),
  model('loraAlpha', real(0), 'what adapters add is multiplied by alpha / rank (default: twice the rank)', {
    tasks: LM,
  }),
  model('loraTargets', texts, 'matrices that have adapters, as inProj,outProj (default: all of the blocks)', {
    tasks: LM,
  }),
  model('seed', count(0), 'of the first weights and of the data; it repeats a training', { default: 1 }),
  data('batch', count(), 'sequences of a batch', { default: byTask(8, 16, 64) }),
  data('length', count(), 'tokens of a sequence', { tasks: LM, default: 256 }),
  data('carry', flag, 'read the files in order, and carry the state from step to step', { tasks: LM, default: false }),
  data('heldOut', real(0, 0.9), 'share of the tokens, the last ones, to evaluate on', { tasks: LM, default: 0.05 }),
  data('evalWindows', count(), 'sequences of an evaluation', { tasks: LM, default: 256, free: true }),
  data('tokenizer', text('<folder>'), 'of a tokenizer.json; needs @mamba/lm (default: bytes are tokens)', {
    tasks: LM,
  }),
  data('tokenType', choice('uint16', 'uint32'), 'the integers of .bin files', { tasks: LM, default: 'uint16' }),
  data('vocab', count(2), 'tokens of the vocabulary, for files of tokens (default: up to the largest)', { tasks: LM }),
  data('endToken', count(0), 'the token that ends a document, for files of tokens', { tasks: LM }),
  data('lengths', counts, 'lengths of the sequences, in turn', {
    tasks: SYNTHETIC,
    default: byTask(undefined, [64, 256, 1024, 4096], [256]),
  }),
  data('testLengths', counts, 'lengths to test (default: those of the training)', { tasks: SYNTHETIC, free: true }),
  data('testSequences', count(), 'sequences of a test', { tasks: SYNTHETIC, default: 64, free: true }),
  data('dataTokens', count(), 'tokens to copy', { tasks: ['selective-copying'], default: 16 }),
];

/** The options that a task has. */
export function optionsOf(task: TaskName): readonly Option[] {
  return OPTIONS.filter(({ tasks }) => tasks.includes(task));
}

/** The default of an option for a task. */
export function defaultOf({ default: value }: Option, task: TaskName): unknown {
  const isByTask = typeof value === 'object' && value !== null && 'lm' in value;
  return isByTask ? (value as Readonly<Record<TaskName, unknown>>)[task] : value;
}

/** `--d-model` of `dModel`. */
export function flagOf(key: string): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
