/**
 * Checks how much each dtype of stored matrices changes the results of a trained model: likeliest tokens and perplexity
 * on held-out text, compared with float32.
 */
import { type CheckpointLocation, checkpointStore, openCheckpoint, openSafetensors, readJson } from '@mamba/checkpoint';
import { type Backend, createModel, type DType, type Model, type UploadOptions } from '@mamba/core';
import type { Check } from '../runner/check.ts';
import { Findings } from '../runner/report.ts';
import { damaged } from './golden-file.ts';

interface Bound {
  readonly dtype: DType;
  /** The largest share of positions where another token is the likeliest. */
  readonly disagreement: number;
  /** The largest relative change of the perplexity. */
  readonly perplexity: number;
}

const BOUNDS: readonly Bound[] = [
  // The checkpoint itself is stored in float16, so only sums are rounded differently.
  { dtype: 'float16', disagreement: 1e-3, perplexity: 1e-4 },
  { dtype: 'bfloat16', disagreement: 1e-2, perplexity: 2e-3 },
  { dtype: 'q8', disagreement: 1e-2, perplexity: 5e-3 },
  // q4 in blocks of 32 changes 13 % of the tokens and the perplexity by 2.5 %; twice as much would be a bug.
  { dtype: 'q4', disagreement: 0.25, perplexity: 0.05 },
];

/**
 * Number of tokens of a window, as in validation.json. Each window starts from a zero state, and every token but the
 * first of the text is predicted once.
 */
const WINDOW = 256;
/** Number of windows that are computed at once. */
const ROWS = 8;
/**
 * The other dtypes are compared with float32 in one of every four windows. float32 itself is compared with the loss of
 * the whole text.
 */
const COMPARED = 4;

/**
 * A check for each dtype: `weights/kjv-mamba-q8`. Dtypes that a backend does not store are skipped, and so are all
 * checks on an emulated GPU.
 */
export function storedWeightsChecks(location: CheckpointLocation, name: string): readonly Check[] {
  const baselines = new WeakMap<Backend, Promise<Scored>>();
  return BOUNDS.map((bound): Check => {
    const id = `weights/${name}-${bound.dtype}`;
    return {
      id,
      source: name,
      case: id,
      async run({ backend }) {
        const options: UploadOptions = { dtype: bound.dtype, role: 'matrix' };
        const support = backend.supportsUpload({ dtype: 'float32', shape: [32, 32] }, options);
        if (!support.supported) return { skipped: support.reason };
        if (backend.details.software === true)
          return { skipped: 'a GPU in software would take an hour for these 20,495 tokens' };
        const baseline = baselines.get(backend) ?? score(backend, location, undefined, 1);
        baselines.set(backend, baseline);
        const { scores: float32, published } = await baseline;
        const { scores: stored } = await score(backend, location, bound.dtype, COMPARED);
        const pairs = [...stored].map(([window, scores]) => [scores, float32.get(window)!] as const);
        const tokens = sum(pairs.map(([{ likeliest }]) => likeliest.length));
        const others = pairs.map(
          ([{ likeliest }, same]) => likeliest.filter((token, at) => token !== same.likeliest[at]).length,
        );
        const findings = new Findings(name, id, backend.precision);
        findings.within('other likeliest tokens', sum(others) / tokens, bound.disagreement);
        const change = Math.exp(sum(pairs.map(([{ loss }, same]) => loss - same.loss)) / tokens) - 1;
        findings.within('change of perplexity', Math.abs(change), bound.perplexity);
        const loss = sum([...float32.values()].map((scores) => scores.loss));
        findings.within('loss of float32', Math.abs(loss / published - 1), LOSS_TOLERANCE);
        return findings.reports;
      },
    };
  });
}

/** The bound of the loss summed over all tokens, in which the roundings of single tokens cancel. */
const LOSS_TOLERANCE = 1e-6;

/** The results of a window. */
interface Scores {
  /** The likeliest token after each position. */
  readonly likeliest: readonly number[];
  /** The loss summed over the window, in nats. */
  readonly loss: number;
}

interface Scored {
  /** Results by the index of the window. */
  readonly scores: ReadonlyMap<number, Scores>;
  /** The loss of the whole text by validation.json. */
  readonly published: number;
}

/** Computes the results of every window whose index is a multiple of `every`. */
async function score(
  backend: Backend,
  location: CheckpointLocation,
  weights: DType | undefined,
  every: number,
): Promise<Scored> {
  const { ids, published } = await heldOut(location);
  const windows = Array.from({ length: Math.ceil((ids.length - 1) / WINDOW) }, (_, index) => ({
    index,
    ids: ids.slice(index * WINDOW, (index + 1) * WINDOW + 1),
  })).filter(({ index }) => index % every === 0);
  const model = await load(backend, location, weights);
  try {
    const scores = new Map<number, Scores>();
    for (let first = 0; first < windows.length; ) {
      const { length } = windows[first]!.ids;
      let end = first + 1;
      while (end < windows.length && end < first + ROWS && windows[end]!.ids.length === length) end++;
      const together = windows.slice(first, end);
      const read = await readRows(
        model,
        together.map(({ ids: row }) => row),
      );
      for (const [row, { index }] of together.entries()) scores.set(index, read[row]!);
      first = end;
    }
    return { scores, published };
  } finally {
    model.dispose();
  }
}

async function readRows(model: Model, rows: readonly Int32Array[]): Promise<readonly Scores[]> {
  const { backend } = model;
  const fed = rows.map((row) => row.subarray(0, -1));
  const { length } = fed[0]!;
  const next = Int32Array.from(rows.flatMap((row) => [...row.subarray(1)]));
  const { logits, state } = model.forward(fed, { logits: 'all' });
  const ids = backend.upload({ dtype: 'int32', shape: [rows.length, length], data: next });
  const tensors = [backend.argmax(logits!), backend.logProb(logits!, ids)] as const;
  try {
    const [likeliest, logProbs] = [await backend.read(tensors[0]), await backend.read(tensors[1])];
    return rows.map((_, row) => ({
      likeliest: [...likeliest.subarray(row * length, (row + 1) * length)],
      loss: -sum([...logProbs.subarray(row * length, (row + 1) * length)]),
    }));
  } finally {
    for (const held of [logits!, state, ids, ...tensors]) held.dispose();
  }
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** The ids of `validation.txt`, and the loss over all windows by `validation.json`. */
async function heldOut(
  location: CheckpointLocation,
): Promise<{ readonly ids: Int32Array; readonly published: number }> {
  const store = checkpointStore(location);
  const source = await store.open('validation-ids.safetensors');
  if (source === undefined) throw damaged(store.name, 'no validation-ids.safetensors', 'held-out text as token ids');
  const file = await openSafetensors(source);
  try {
    const host = await file.read('ids');
    const about = (await readJson(store, 'validation.json')) as { windows?: { nll_nats?: number } } | undefined;
    const published = about?.windows?.nll_nats;
    if (host.dtype !== 'int32' || published === undefined)
      throw damaged(
        store.name,
        `${host.dtype} ids, a loss of ${published}`,
        'integers, and windows.nll_nats in validation.json',
      );
    return { ids: host.data, published };
  } finally {
    await file.close();
  }
}

async function load(backend: Backend, location: CheckpointLocation, weights: DType | undefined): Promise<Model> {
  const checkpoint = await openCheckpoint(location);
  try {
    return await createModel(backend, checkpoint.config, checkpoint.source, { weights });
  } finally {
    await checkpoint.close();
  }
}
