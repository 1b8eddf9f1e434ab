/**
 * The schema of the JSON report, version 5. Times are in seconds, memory in bytes. A reader takes versions 1 to 4 as
 * well, which lack some optional fields, and refuses others with a message that says what to do. docs/schema.md
 * describes the fields.
 */
import { MambaError } from '@mamba/core';
import { z } from 'zod';

export const SCHEMA_VERSION = 5;
/** Versions that are read; the older ones are version 5 without some of its optional fields. */
export const READABLE_VERSIONS: readonly number[] = [1, 2, 3, 4, 5];
export const KIND = 'mamba-bench';
export const SET_KIND = 'mamba-bench-set';
/** A result of `mamba-bench versus`, whose schema is another file's. */
export const VERSUS_KIND = 'mamba-versus';

const positive = z.number().positive();
const count = z.number().int().nonnegative();
const plain = z.union([z.string(), z.number(), z.boolean()]);

export const machineSchema = z.strictObject({
  cpu: z.string(),
  cores: z.number().int().positive(),
  /** Bytes of memory. */
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
  /** The mode in which its kernel was compiled; absent means plain. */
  mode: z.enum(['plain', 'relaxed', 'revectorized']).optional(),
  /** The method of the measurement, in words. */
  how: z.string(),
});

export const backendSchema = z.strictObject({
  name: z.string(),
  /** Version of its package; absent where it has none. */
  version: z.string().optional(),
  /** `failed`: its process crashed, or did not answer, as it started. */
  status: z.enum(['ready', 'unavailable', 'not-installed', 'failed']),
  /** The reason, where the backend does not run here. */
  reason: z.string().optional(),
  description: z.string().optional(),
  details: z.record(z.string(), plain).optional(),
  dtype: z.enum(['float32', 'float64']).optional(),
  /** Present where the backend is too slow for the full shapes and for comparisons: `float64`, `software`. */
  slow: z.string().optional(),
  /** Cold start: seconds until the backend was ready, with the compilation of its kernels where that happens then. */
  createSeconds: positive.optional(),
  /** Another project's software, measured beside ours. */
  peer: z.boolean().optional(),
  /** The way in which a peer is driven, in words. */
  how: z.string().optional(),
});

export const checkSchema = z.strictObject({
  pass: z.boolean(),
  maxAbsError: z.number().nullable(),
  /** The largest reference value. */
  scale: z.number(),
  /** maxAbsError / scale; null where a value is not finite. */
  relativeError: z.number().nullable(),
  tolerance: z.number(),
  /** The comparison with the reference, in words: the shape itself, or a part of it. */
  checked: z.string(),
});

export const timeSchema = z.strictObject({
  median: positive,
  p10: positive,
  p90: positive,
  /** Samples. */
  n: z.number().int().positive(),
  /** Calls timed together in a sample; the times are of one call. */
  callsPerSample: z.number().int().positive(),
  /** Seconds of the very first call, with what a cold start adds: compilation, first touch of memory. */
  first: positive.optional(),
});

const memorySchema = z.strictObject({
  /** Bytes of live tensors on the backend. */
  tensors: count,
  /** Bytes that the backend holds. */
  reserved: count,
  /** Resident set of the whole process; 0 where a browser does not tell. */
  process: count,
  /** The state of a model: its size for one sequence. */
  state: count.optional(),
  /** Bytes of live tensors at most during a call. */
  peak: count.optional(),
});

const resultSchema = z.strictObject({
  suite: z.string(),
  /** Unique within a backend: `scan/length-512`, `model/prefill-512`. */
  case: z.string(),
  backend: z.string(),
  dtype: z.string(),
  shape: z.record(z.string(), z.number()),
  /**
   * `failed`: the backend threw; `disagrees`: the result is not the reference's; `skipped`: the backend does not
   * support the case. None is timed.
   */
  status: z.enum(['measured', 'failed', 'disagrees', 'skipped']),
  reason: z.string().optional(),
  check: checkSchema.optional(),
  time: timeSchema.optional(),
  /** Items a second at the median time. */
  rate: z.strictObject({ perSecond: positive, unit: z.string() }).optional(),
  /** The operations and bytes that one call cannot do without. */
  work: z.strictObject({ operations: count, bytes: count }).optional(),
  ceiling: z
    .strictObject({
      /** Id of the ceiling that binds. */
      id: z.string(),
      /** The least seconds that the ceiling allows. */
      seconds: positive,
      /** Those seconds over the median time: 1 is the machine's limit. */
      share: positive,
      /** The limit was measured again between the samples, and its median counts; absent where it is the run's best. */
      inTurns: z.literal(true).optional(),
    })
    .optional(),
  memory: memorySchema.optional(),
  slow: z.string().optional(),
});

const slopeSchema = z.strictObject({
  suite: z.string(),
  backend: z.string(),
  /** The extent that grows. */
  over: z.string(),
  /** What grows with it: the peak of memory; absent means the time. */
  of: z.literal('memory').optional(),
  /** Least-squares slope of the logarithm over that of the extent: 1 is linear. */
  slope: z.number(),
  points: z.number().int().min(2),
  /** The extents that the points have in common. */
  shape: z.record(z.string(), z.number()).optional(),
});

const generationSchema = z.strictObject({
  checkpoint: z.string(),
  backend: z.string(),
  prompt: z.string(),
  text: z.string(),
  tokens: z.number().int().positive(),
  seconds: positive,
});

const settingsSchema = z.strictObject({
  suites: z.array(z.string()),
  effort: z.enum(['quick', 'standard', 'thorough']),
  /** Extents that the user chose in place of a suite's own: `length`, `batch`, `state`. */
  shapes: z.record(z.string(), z.array(z.number())).optional(),
  models: z.array(z.string()).optional(),
  dtypes: z.array(z.string()).optional(),
  threads: z.array(z.number()).optional(),
});

export const reportSchema = z.strictObject({
  kind: z.literal(KIND),
  schemaVersion: z.literal(SCHEMA_VERSION),
  tool: z.strictObject({ name: z.string(), version: z.string() }),
  startedAt: z.iso.datetime(),
  finishedAt: z.iso.datetime(),
  /** True where the run was stopped; the report holds what was measured until then. */
  interrupted: z.boolean(),
  settings: settingsSchema,
  machine: machineSchema,
  ceilings: z.array(ceilingSchema),
  backends: z.array(backendSchema),
  results: z.array(resultSchema),
  slopes: z.array(slopeSchema),
  generation: generationSchema.optional(),
});

export type Report = z.infer<typeof reportSchema>;
export type Settings = z.infer<typeof settingsSchema>;
export type Machine = z.infer<typeof machineSchema>;
export type Ceiling = z.infer<typeof ceilingSchema>;
export type BackendRecord = z.infer<typeof backendSchema>;
export type CheckRecord = z.infer<typeof checkSchema>;
export type TimeSummary = z.infer<typeof timeSchema>;
export type MemoryRecord = z.infer<typeof memorySchema>;
export type Result = z.infer<typeof resultSchema>;
export type Slope = z.infer<typeof slopeSchema>;
export type Generation = z.infer<typeof generationSchema>;

/** Some machines' reports in one file, as `merge` writes it. */
export const setSchema = z.strictObject({
  kind: z.literal(SET_KIND),
  schemaVersion: z.literal(SCHEMA_VERSION),
  /** The decisions of merging, in words. */
  notes: z.array(z.string()),
  reports: z.array(reportSchema),
});
export type ReportSet = z.infer<typeof setSchema>;

/**
 * @throws MambaError `invalid-file` where the text is no report, or one of another version; `origin` names it in the
 * message.
 */
export function parseReport(text: string, origin: string): Report {
  const value = readHeader(text, origin, reportsOf([KIND]));
  return checkFile(reportSchema, upgraded(value), origin);
}

/** `parseReport` for a file that holds one report or a set of them. */
export function parseReports(text: string, origin: string): Report[] {
  const value = readHeader(text, origin, reportsOf([KIND, SET_KIND]));
  if (value.kind === KIND) return [checkFile(reportSchema, upgraded(value), origin)];
  const reports = Array.isArray(value.reports) ? value.reports.map(upgraded) : value.reports;
  return checkFile(setSchema, { ...value, schemaVersion: SCHEMA_VERSION, reports }, origin).reports;
}

function reportsOf(kinds: readonly string[]): FileSort {
  return { kinds, versions: READABLE_VERSIONS, made: 'mamba-bench run --json FILE' };
}

/** Turns a report of a readable version into one of the newest: they differ in optional fields alone. */
function upgraded(value: unknown): unknown {
  const version = (value as { schemaVersion?: unknown } | null)?.schemaVersion;
  return READABLE_VERSIONS.includes(version as number)
    ? { ...(value as object), schemaVersion: SCHEMA_VERSION }
    : value;
}

/** What a file of one sort says of itself. */
export interface FileSort {
  readonly kinds: readonly string[];
  readonly versions: readonly number[];
  /** The command that makes such a file. */
  readonly made: string;
}

/**
 * The file's value with its kind and version checked; everything else is still to be checked.
 * @throws MambaError `invalid-file`
 */
export function readHeader(text: string, origin: string, { kinds, versions, made }: FileSort): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new MambaError('invalid-file', `${origin} is not JSON`, { origin, cause });
  }
  const { kind, schemaVersion } = (value ?? {}) as { kind?: unknown; schemaVersion?: unknown };
  if (!kinds.includes(kind as string))
    throw new MambaError('invalid-file', `${origin} is not a report of mamba-bench`, {
      origin,
      given: `kind ${JSON.stringify(kind)}`,
      expected: kinds.map((known) => JSON.stringify(known)).join(' or '),
      remedy: kind === VERSUS_KIND ? `mamba-bench versus ${origin} shows it.` : `Make one with ${made}.`,
    });
  if (!versions.includes(schemaVersion as number))
    throw new MambaError('invalid-file', `${origin} has a version that this mamba-bench does not read`, {
      origin,
      given: `schemaVersion ${JSON.stringify(schemaVersion)}`,
      expected: versions.join(' or '),
      remedy:
        typeof schemaVersion === 'number' && schemaVersion > Math.max(...versions)
          ? `Take the mamba-bench that wrote it${writer(value)}, or a newer one.`
          : 'Run the benchmark again.',
    });
  return value as Record<string, unknown>;
}

function writer(value: unknown): string {
  const version = (value as { tool?: { version?: unknown } }).tool?.version;
  return typeof version === 'string' ? `, version ${version}` : '';
}

/** The value as the schema has it. @throws MambaError `invalid-file` with the field that is wrong. */
export function checkFile<T>(schema: z.ZodType<T>, value: unknown, origin: string): T {
  const parsed = schema.safeParse(value);
  if (!parsed.success)
    throw new MambaError('invalid-file', `${origin} is damaged: ${z.prettifyError(parsed.error)}`, { origin });
  return parsed.data;
}
