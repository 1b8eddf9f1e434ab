/**
 * The report as JSON, version 1: what ran, on what machine, how fast, how near to the machine's limits, and how it was checked.
 * Times are in seconds, memory in bytes. A reader refuses other versions with a message that says what to do. The fields are
 * described for users in the README.
 */
import { MambaError } from '@mamba/core';
import { z } from 'zod';

export const SCHEMA_VERSION = 1;
export const KIND = 'mamba-bench';

const positive = z.number().positive();
const count = z.number().int().nonnegative();
const plain = z.union([z.string(), z.number(), z.boolean()]);

const machineSchema = z.strictObject({
  cpu: z.string(),
  cores: z.number().int().positive(),
  /** In bytes. */
  memory: positive,
  /** Processes that wanted a processor when the run began, the mean of a minute; 0 where the system does not say. */
  load: z.number().nonnegative(),
  os: z.string(),
  arch: z.string(),
  engine: z.strictObject({ name: z.string(), version: z.string(), v8: z.string().optional() }),
});

const ceilingSchema = z.strictObject({
  id: z.string(),
  bound: z.enum(['operations', 'bandwidth']),
  /** Operations or bytes a second. */
  perSecond: positive,
  threads: z.number().int().positive(),
  /** How it was measured, in words. */
  how: z.string(),
});

const backendSchema = z.strictObject({
  name: z.string(),
  /** Version of its package; absent where it has none. */
  version: z.string().optional(),
  status: z.enum(['ready', 'unavailable', 'not-installed']),
  /** Why it does not run here, where it does not. */
  reason: z.string().optional(),
  description: z.string().optional(),
  details: z.record(z.string(), plain).optional(),
  dtype: z.enum(['float32', 'float64']).optional(),
  /** Present where it is too slow for the full shapes, and kept out of comparisons: `float64`, `software`. */
  slow: z.string().optional(),
});

const checkSchema = z.strictObject({
  pass: z.boolean(),
  maxAbsError: z.number().nullable(),
  /** The largest reference value. */
  scale: z.number(),
  /** maxAbsError / scale; null where a value is not finite. */
  relativeError: z.number().nullable(),
  tolerance: z.number(),
  /** What was compared with the reference, in words: the shape itself, or how it was cut. */
  checked: z.string(),
});

const timeSchema = z.strictObject({
  median: positive,
  p10: positive,
  p90: positive,
  /** Samples. */
  n: z.number().int().positive(),
  /** Calls timed together in a sample; the times are of one call. */
  callsPerSample: z.number().int().positive(),
});

const memorySchema = z.strictObject({
  /** Bytes of live tensors on the backend. */
  tensors: count,
  /** Bytes that the backend holds. */
  reserved: count,
  /** Resident set of the whole process. */
  process: count,
});

const resultSchema = z.strictObject({
  suite: z.string(),
  /** Unique within a backend: `scan/length-512`, `model/prefill-512`. */
  case: z.string(),
  backend: z.string(),
  dtype: z.string(),
  shape: z.record(z.string(), z.number()),
  /** `failed`: it threw; `disagrees`: it is not the reference's result. Neither is timed. `skipped`: it does not support the case. */
  status: z.enum(['measured', 'failed', 'disagrees', 'skipped']),
  reason: z.string().optional(),
  check: checkSchema.optional(),
  time: timeSchema.optional(),
  /** Items a second at the median time. */
  rate: z.strictObject({ perSecond: positive, unit: z.string() }).optional(),
  /** What one call cannot do without. */
  work: z.strictObject({ operations: count, bytes: count }).optional(),
  ceiling: z
    .strictObject({
      /** Id of the ceiling that binds. */
      id: z.string(),
      /** The least time that it allows. */
      seconds: positive,
      /** That time over the median: 1 is the machine's limit. */
      share: positive,
    })
    .optional(),
  memory: memorySchema.optional(),
  slow: z.string().optional(),
});

const slopeSchema = z.strictObject({
  suite: z.string(),
  backend: z.string(),
  /** What grows. */
  over: z.string(),
  /** Least-squares slope of log time over log length: 1 is linear. */
  slope: z.number(),
  points: z.number().int().min(2),
});

const generationSchema = z.strictObject({
  checkpoint: z.string(),
  backend: z.string(),
  prompt: z.string(),
  text: z.string(),
  tokens: z.number().int().positive(),
  seconds: positive,
});

export const reportSchema = z.strictObject({
  kind: z.literal(KIND),
  schemaVersion: z.literal(SCHEMA_VERSION),
  tool: z.strictObject({ name: z.string(), version: z.string() }),
  startedAt: z.iso.datetime(),
  finishedAt: z.iso.datetime(),
  /** True where it was stopped before its end: what was measured until then is here. */
  interrupted: z.boolean(),
  settings: z.strictObject({ suites: z.array(z.string()), effort: z.enum(['quick', 'standard']) }),
  machine: machineSchema,
  ceilings: z.array(ceilingSchema),
  backends: z.array(backendSchema),
  results: z.array(resultSchema),
  slopes: z.array(slopeSchema),
  generation: generationSchema.optional(),
});

export type Report = z.infer<typeof reportSchema>;
export type Machine = z.infer<typeof machineSchema>;
export type Ceiling = z.infer<typeof ceilingSchema>;
export type BackendRecord = z.infer<typeof backendSchema>;
export type CheckRecord = z.infer<typeof checkSchema>;
export type TimeSummary = z.infer<typeof timeSchema>;
export type MemoryRecord = z.infer<typeof memorySchema>;
export type Result = z.infer<typeof resultSchema>;
export type Slope = z.infer<typeof slopeSchema>;
export type Generation = z.infer<typeof generationSchema>;

/** @throws MambaError `invalid-file` where the text is no report, or one of another version; `origin` names it in the message. */
export function parseReport(text: string, origin: string): Report {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new MambaError('invalid-file', `${origin} is not JSON`, { origin, cause });
  }
  const { kind, schemaVersion } = (value ?? {}) as { kind?: unknown; schemaVersion?: unknown };
  if (kind !== KIND)
    throw new MambaError('invalid-file', `${origin} is not a report of mamba-bench`, {
      origin,
      given: `kind ${JSON.stringify(kind)}`,
      expected: JSON.stringify(KIND),
      remedy: 'Make one with mamba-bench run --json FILE.',
    });
  if (schemaVersion !== SCHEMA_VERSION)
    throw new MambaError('invalid-file', `${origin} has a version that this mamba-bench does not read`, {
      origin,
      given: `schemaVersion ${JSON.stringify(schemaVersion)}`,
      expected: String(SCHEMA_VERSION),
      remedy:
        typeof schemaVersion === 'number' && schemaVersion > SCHEMA_VERSION
          ? 'Take a newer mamba-bench.'
          : 'Run the benchmark again.',
    });
  const parsed = reportSchema.safeParse(value);
  if (!parsed.success)
    throw new MambaError('invalid-file', `${origin} is damaged: ${z.prettifyError(parsed.error)}`, { origin });
  return parsed.data;
}
