/** A batch as the device gets it: its values, and the pieces in which the head and the loss run. */
import { type Backend, type CaptureInput, type HostTensor, invalid, type ModelConfig } from '@mamba/core';
import { checkInteger } from '@mamba/core/toolkit';
import { filledHost } from '../tape/filled.ts';
import type { Batch } from './loss.ts';
import type { TrainableModel } from './trainable.ts';

/** Some rows and steps of `[batch, length]`, whose logits are in memory together. */
export interface Piece {
  readonly row: number;
  readonly rowEnd: number;
  readonly step: number;
  readonly end: number;
  /** Which of the batch's inputs are its targets, and the cotangents of its losses. */
  readonly targets: number;
  readonly cotangents: number;
}

export interface PreparedBatch {
  readonly batch: number;
  readonly length: number;
  /** Number of positions that have a loss. */
  readonly targets: number;
  /** What the sum of the losses is divided by. */
  readonly count: number;
  /** Whether the inputs have marks of resets, behind the ids. */
  readonly resets: boolean;
  /** The pieces, one list for each band of rows. */
  readonly bands: readonly (readonly Piece[])[];
  /** The values of all inputs: ids, resets, and then those that the pieces name. */
  readonly hosts: readonly HostTensor[];
  /** The specs of the inputs for any batch of this shape. */
  readonly specs: readonly CaptureInput[];
}

export interface PrepareOptions {
  /**
   * The largest number of logits that are in memory at a time. Default: twice as many as the layers' inputs have
   * numbers, between 2^25 and 2^27 where the backend takes tensors of that size.
   */
  readonly logits?: number | undefined;
  /** Divides the sum of the losses. Default: the number of targets that have one. */
  readonly count?: number | undefined;
}

/** Pieces of more logits fill a device better; beyond this nothing is gained. */
const MOST_LOGITS = 2 ** 27;
const LEAST_LOGITS = 2 ** 25;
const LEAST_INTEGER = -(2 ** 31);

/** @throws MambaError `invalid-argument` where the batch does not fit the model or has no target. */
export function prepareBatch(
  { config, backend }: TrainableModel,
  given: Batch,
  { logits: limit = defaultLogits(config, backend, given), count }: PrepareOptions,
): PreparedBatch {
  const { precision } = backend;
  const found = checkBatch(config, given);
  const { batch, length, ids, targets, resets } = given;
  const { vocabSize } = config;
  const hosts: HostTensor[] = [];
  const specs: CaptureInput[] = [];
  const add = (host: HostTensor, range?: CaptureInput['range']): number => {
    specs.push({ shape: host.shape, dtype: host.dtype, range });
    return hosts.push(host) - 1;
  };
  add({ dtype: 'int32', shape: [batch, length], data: ids }, { min: 0, max: vocabSize - 1 });
  if (resets !== undefined) add({ dtype: 'int32', shape: [batch, length], data: resets });
  /** The cotangents by their number: all have one value. */
  const cotangents = new Map<string, number>();
  const divisor = count ?? found;
  const bands = piecesOf(given, Math.max(1, Math.floor(limit / vocabSize))).map((band) =>
    band.map((place): Piece => {
      const shape = [place.rowEnd - place.row, place.end - place.step];
      const key = shape.join('x');
      const data = partOf(targets, length, place);
      const own = add({ dtype: 'int32', shape, data }, { min: LEAST_INTEGER, max: vocabSize - 1 });
      const known = cotangents.get(key) ?? add(filledHost(precision, shape, 1 / divisor));
      cotangents.set(key, known);
      return { ...place, targets: own, cotangents: known };
    }),
  );
  return { batch, length, targets: found, count: divisor, resets: resets !== undefined, bands, hosts, specs };
}

type Place = Pick<Piece, 'row' | 'rowEnd' | 'step' | 'end'>;

/** Memory that is small beside what the layers keep of the batch. */
function defaultLogits({ dModel, blocks }: ModelConfig, backend: Backend, { batch, length }: Batch): number {
  const kept = 2 * batch * length * dModel * blocks.length;
  let limit = Math.min(MOST_LOGITS, kept);
  while (limit > LEAST_LOGITS) {
    const spec = { dtype: backend.precision, shape: [limit] };
    if (backend.supports('add', spec, spec).supported) return limit;
    limit = Math.floor(limit / 2);
  }
  return LEAST_LOGITS;
}

/**
 * Cuts a batch into pieces of at most `rows` positions: whole rows where they fit, or else parts of one row, which are
 * as even as they can be.
 */
function piecesOf({ batch, length }: Batch, rows: number): Place[][] {
  const [rowsOfBatch, steps] =
    rows >= length
      ? [Math.min(batch, Math.floor(rows / length)), length]
      : [1, Math.ceil(length / Math.ceil(length / rows))];
  const bands: Place[][] = [];
  for (let row = 0; row < batch; row += rowsOfBatch) {
    const band: Place[] = [];
    for (let step = 0; step < length; step += steps)
      band.push({ row, rowEnd: Math.min(row + rowsOfBatch, batch), step, end: Math.min(step + steps, length) });
    bands.push(band);
  }
  return bands;
}

/** The values of some rows and steps of `[batch, length]`. */
function partOf(values: Int32Array, length: number, { row, rowEnd, step, end }: Place): Int32Array<ArrayBuffer> {
  const part = new Int32Array((rowEnd - row) * (end - step));
  for (let from = row; from < rowEnd; from++)
    part.set(values.subarray(from * length + step, from * length + end), (from - row) * (end - step));
  return part;
}

/** Checks a batch. Returns the number of targets. */
function checkBatch({ vocabSize }: ModelConfig, { batch, length, ids, targets, resets }: Batch): number {
  checkInteger('batch.batch', batch, 1);
  checkInteger('batch.length', length, 1);
  for (const [name, values] of Object.entries({ ids, targets, resets })) {
    if (values === undefined) continue;
    if (values.length !== batch * length)
      throw invalid(`batch.${name}`, `${values.length} values`, `${batch * length}, [batch, length]`);
  }
  for (const id of ids)
    if (id < 0 || id >= vocabSize) throw invalid('batch.ids', `the id ${id}`, `ids from 0 to ${vocabSize - 1}`);
  let count = 0;
  for (const target of targets) {
    if (target >= vocabSize) throw invalid('batch.targets', `the target ${target}`, `targets up to ${vocabSize - 1}`);
    if (target >= 0) count++;
  }
  if (count === 0) throw invalid('batch.targets', 'no target', 'at least one that is not below 0');
  return count;
}
