/**
 * The schema of what `mamba-bench versus` and its page write, version 1. Times are in seconds, memory in bytes.
 * docs/versus-schema.md describes the fields.
 */
import { z } from 'zod';
import {
  backendSchema,
  checkFile,
  checkSchema,
  KIND,
  machineSchema,
  type Report,
  type Result,
  readHeader,
  SCHEMA_VERSION,
  timeSchema,
  VERSUS_KIND,
} from './report.ts';

export const VERSUS_VERSION = 1;

const positive = z.number().positive();
const count = z.number().int().nonnegative();
const natural = z.number().int().positive();

/** What is measured of a block: a whole sequence, one token after it, one step of training on it. */
export const MEASURES = ['forward', 'step', 'train'] as const;
export type Measure = (typeof MEASURES)[number];

const systemSchema = z.strictObject({
  name: z.string(),
  label: z.string(),
  /** The label in a plot, where it has to be shorter. */
  short: z.string().optional(),
  kind: z.string(),
  /** The sizes of its block. */
  config: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
  parameters: natural,
  grows: z.enum(['linear', 'quadratic']),
  remembers: z.enum(['constant', 'every token', 'a window', 'nothing']),
});

/** The comparison of a system with the float64 reference, before anything of it was timed. */
const agreementSchema = z.strictObject({
  system: z.string(),
  backend: z.string(),
  status: z.enum(['agrees', 'disagrees', 'failed']),
  check: checkSchema.optional(),
  reason: z.string().optional(),
});

const memorySchema = z.strictObject({
  /** Bytes in use at most during a call, weights and input included, as the backend counts them. */
  peak: count,
  /** Bytes that one sequence's state takes after so many tokens; of a step. */
  state: count.optional(),
});

const refusalSchema = z.strictObject({
  /** Bytes that the call would take. */
  bytes: positive,
  /** Bytes that there are. */
  limit: positive,
});

/** Why there is no measurement, with the numbers that decided it. */
const absence = {
  refused: refusalSchema.optional(),
  /** Seconds that a call was expected to take, where it was stopped. */
  expected: positive.optional(),
  reason: z.string().optional(),
};

const pointSchema = z.strictObject({
  system: z.string(),
  backend: z.string(),
  measure: z.enum(MEASURES),
  /** Tokens of the sequence; of a step, tokens before it. */
  length: natural,
  /**
   * `refused`: it would take more memory than there is; `stopped`: a call would take longer than was allowed, so that
   * this length and longer ones were not run; `unsupported`: the system or the backend cannot do it; `failed`: it
   * threw, or gave what is not a number.
   */
  status: z.enum(['measured', 'refused', 'stopped', 'unsupported', 'failed']),
  time: timeSchema.optional(),
  /** Tokens a second at the median time. */
  perSecond: positive.optional(),
  memory: memorySchema.optional(),
  ...absence,
});

const generationSchema = z.strictObject({
  /** The name of the kind of model: `mamba`, `transformer`. */
  model: z.string(),
  label: z.string(),
  backend: z.string(),
  layers: natural,
  dModel: natural,
  parameters: natural,
  batch: natural,
  /** Tokens of each prompt, and new tokens of each row. */
  prompt: natural,
  tokens: natural,
  status: z.enum(['measured', 'refused', 'stopped', 'unsupported', 'failed', 'disagrees']),
  /** Seconds of the prompt alone, and of prompt and new tokens together. */
  prefillSeconds: positive.optional(),
  seconds: positive.optional(),
  /** New tokens a second of all rows, the prompt's time included. */
  perSecond: positive.optional(),
  /** Bytes of the states of all rows at the end. */
  state: count.optional(),
  check: checkSchema.optional(),
  ...absence,
});

/** What models learn: two tasks of arXiv 2312.00752, section 4.1, and the bytes of a text. */
export const TASK_NAMES = ['induction-heads', 'selective-copying', 'language'] as const;
export type TaskName = (typeof TASK_NAMES)[number];

const recipeSchema = z.strictObject({
  task: z.enum(TASK_NAMES),
  /** Blocks of Mamba's model, and its width. The other models have about as many parameters. */
  layers: natural,
  dModel: natural,
  /** Whether attention and retention come in pairs with a feed-forward block. */
  feedForward: z.boolean(),
  /** Sequences of a step, at these lengths in turn. */
  batch: natural,
  lengths: z.array(natural).min(1),
  steps: natural,
  /** The learning rate after `warmup` steps, from where it falls to a twentieth as a cosine. */
  peak: positive,
  warmup: count,
  weightDecay: z.number().nonnegative(),
  /** Of parameters and data, and of the test's data. */
  seed: count,
  testSeed: count,
  /** Lengths of the test, and its sequences of each length; of a text as many tokens of each length. */
  testLengths: z.array(natural).min(1),
  sequences: natural,
});

const taskSchema = z.strictObject({
  task: z.enum(TASK_NAMES),
  system: z.string(),
  label: z.string(),
  backend: z.string(),
  layers: natural,
  parameters: natural,
  /** Bytes of one sequence's state after 2,048 tokens, by the slots of its blocks. */
  state: count,
  status: z.enum(['measured', 'stopped', 'unsupported', 'failed', 'disagrees']),
  check: checkSchema.optional(),
  /** Seconds of all steps but the first ones, which prepare them. */
  seconds: positive.optional(),
  /** Tokens a second in training; also of one that was stopped. */
  perSecond: positive.optional(),
  /** Mean loss in nats of the last tenth of the steps. */
  loss: z.number().nonnegative().optional(),
  /** Right answers by length, of a task. */
  accuracy: z.array(z.strictObject({ length: natural, answers: natural, right: count })).optional(),
  /** Loss on held-out text by the length of the windows. */
  heldOut: z.array(z.strictObject({ length: natural, targets: natural, bitsPerByte: positive })).optional(),
  /** Seconds that the steps were expected to take, where they were stopped. */
  expected: positive.optional(),
  reason: z.string().optional(),
});

const crossingSchema = z.strictObject({
  backend: z.string(),
  measure: z.enum(MEASURES),
  of: z.enum(['time', 'memory']),
  /** The system that Mamba is compared with. */
  against: z.string(),
  /** Whether Mamba needs less at every length of both, from some length on, or not at the longest. */
  less: z.enum(['always', 'from', 'not']),
  /** The length from which Mamba needs less, between two that were measured. */
  from: positive.optional(),
  /** What the other needs over what Mamba needs, at the longest length that both were measured at. */
  length: natural,
  ratio: positive,
  /** The first length that Mamba was measured at and the other could not be. */
  alone: natural.optional(),
});

export const versusSchema = z.strictObject({
  kind: z.literal(VERSUS_KIND),
  schemaVersion: z.literal(VERSUS_VERSION),
  tool: z.strictObject({ name: z.string(), version: z.string() }),
  startedAt: z.iso.datetime(),
  finishedAt: z.iso.datetime(),
  interrupted: z.boolean(),
  settings: z.strictObject({
    dModel: natural,
    batch: natural,
    lengths: z.array(natural),
    measures: z.array(z.enum(MEASURES)),
    /** Seconds that one call may take. */
    seconds: positive,
    /** `processor`: times are of the processor, on one thread; absent: they are of the clock. */
    clock: z.literal('processor').optional(),
  }),
  machine: machineSchema,
  backends: z.array(backendSchema),
  systems: z.array(systemSchema),
  agreements: z.array(agreementSchema),
  points: z.array(pointSchema),
  crossings: z.array(crossingSchema),
  generation: z.array(generationSchema),
  /** How models were trained, and what came of it; absent where none were to be. */
  recipes: z.array(recipeSchema).optional(),
  tasks: z.array(taskSchema).optional(),
});

export type VersusReport = z.infer<typeof versusSchema>;
export type SystemRecord = z.infer<typeof systemSchema>;
export type Agreement = z.infer<typeof agreementSchema>;
export type VersusPoint = z.infer<typeof pointSchema>;
export type Crossing = z.infer<typeof crossingSchema>;
export type TaskRecipe = z.infer<typeof recipeSchema>;
export type TaskRow = z.infer<typeof taskSchema>;
export type GenerationRow = z.infer<typeof generationSchema>;

/** @throws MambaError `invalid-file` where the text is no result of `versus`, or one of another version. */
export function parseVersus(text: string, origin: string): VersusReport {
  const sort = { kinds: [VERSUS_KIND], versions: [VERSUS_VERSION], made: 'mamba-bench versus --json FILE' };
  return checkFile(versusSchema, readHeader(text, origin, sort), origin);
}

/** Whether a file is a result of `versus`, as far as it can be told before it is read. */
export function isVersus(text: string): boolean {
  return new RegExp(`"kind":\\s*"${VERSUS_KIND}"`).test(text);
}

/** The same measurements as a report, by which two runs are compared. */
export function asReport({ settings, points, agreements, ...run }: VersusReport): Report {
  const { dModel, batch } = settings;
  const results = points.map(
    ({ system, backend, measure, length, status, time, perSecond, memory, reason }): Result => {
      const check = agreements.find((one) => one.system === system && one.backend === backend)?.check;
      return {
        suite: 'versus',
        case: `versus/${measure}-${system}-length-${length}${batch > 1 ? `-batch-${batch}` : ''}-d${dModel}`,
        backend,
        dtype: 'float32',
        shape: { dModel, batch, length },
        status: status === 'measured' || status === 'failed' ? status : 'skipped',
        ...(reason !== undefined && { reason }),
        ...(check && { check }),
        ...(time && { time }),
        ...(perSecond !== undefined && { rate: { perSecond, unit: 'tokens/s' } }),
        ...(memory && { memory: { tensors: 0, reserved: 0, process: 0, ...memory } }),
      };
    },
  );
  return {
    kind: KIND,
    schemaVersion: SCHEMA_VERSION,
    tool: run.tool,
    startedAt: run.startedAt,
    finishedAt: run.finishedAt,
    interrupted: run.interrupted,
    settings: { suites: ['versus'], effort: 'standard' },
    machine: run.machine,
    ceilings: [],
    backends: run.backends,
    results,
    slopes: [],
  };
}
