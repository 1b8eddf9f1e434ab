/** Checks the gradients of a whole checkpoint: `gradients.safetensors`, as the fixtures' README describes it. */
import {
  type Checkpoint,
  type CheckpointLocation,
  familyAliases,
  openCheckpoint,
  partOf,
  type SafetensorsFile,
  type StoredPart,
} from '@mamba/checkpoint';
import { type Backend, type HostTensor, MambaError, type Tensor } from '@mamba/core';
import { type Batch, lossAndGradients, TrainableModel } from '@mamba/train';
import type { Tolerance } from '../cases/case.ts';
import type { Skipped } from '../runner/check.ts';
import { Findings, largest, type TensorReport } from '../runner/report.ts';
import { openBeside } from './beside.ts';
import { readIds } from './ids.ts';

export const GRADIENTS = 'gradients.safetensors';

/** The bound of a model's gradients. */
export const MODEL_GRADIENTS: Tolerance = {
  relative: 1e-4,
  reason: 'the gradient of a layer inherits the rounding of all layers behind it, and sums over every position',
};

/**
 * The accuracy of the gradients in the families' checkpoints, relative to the largest of each: transformers casts parts
 * of its layers to float32 on the way.
 */
const FAMILY_ROUNDING = 3e-5;

/** The least scale of a gradient, relative to the largest of all parameters. */
const LEAST_SCALE = 1e-4;

/**
 * Compares the gradient of the loss, the mean cross entropy of the next token over all rows, of every parameter with
 * the file's. A parameter that the file lacks, and a tensor that no parameter has, are failures.
 */
export async function checkGradients(
  backend: Backend,
  location: CheckpointLocation,
  names: { readonly source: string; readonly case: string },
): Promise<readonly TensorReport[] | Skipped> {
  const findings = new Findings(names.source, names.case, backend.precision);
  const opened: { close(): Promise<void> }[] = [];
  const closing = <F extends (typeof opened)[number]>(file: F): F => {
    opened.push(file);
    return file;
  };
  try {
    const checkpoint = closing(await openCheckpoint(location));
    const expected = closing(await openBeside(location, 'expected.safetensors'));
    const golden = closing(await openBeside(location, GRADIENTS));
    const model = await trainable(backend, checkpoint);
    if ('skipped' in model) return model;
    try {
      const rows = await readIds(expected, 'input_ids', checkpoint.config);
      const { losses, gradients, state } = lossAndGradients(model, nextTokens(rows));
      try {
        await compare(findings, backend, checkpoint, model, golden, gradients);
      } finally {
        for (const held of [losses, state, ...gradients.values()]) held.dispose();
      }
    } finally {
      model.dispose();
    }
    return findings.reports;
  } finally {
    await Promise.all(opened.map((file) => file.close()));
  }
}

/** The model, or the reason why this backend cannot train it. */
async function trainable(backend: Backend, { config, source }: Checkpoint): Promise<TrainableModel | Skipped> {
  try {
    return await TrainableModel.create(backend, config, source);
  } catch (error) {
    if (error instanceof MambaError && error.code === 'unsupported') return { skipped: error.message };
    throw error;
  }
}

/** Every token of the rows but the first is a target. */
function nextTokens(rows: readonly Int32Array[]): Batch {
  const length = rows[0]!.length;
  const ids = rows.flatMap((row) => [...row]);
  const targets = rows.flatMap((row) => [...row.subarray(1), -1]);
  return { batch: rows.length, length, ids: Int32Array.from(ids), targets: Int32Array.from(targets) };
}

async function compare(
  findings: Findings,
  backend: Backend,
  checkpoint: Checkpoint,
  model: TrainableModel,
  golden: SafetensorsFile,
  gradients: ReadonlyMap<string, Tensor>,
): Promise<void> {
  const aliases = familyAliases(checkpoint.family);
  const known = (name: string): string => aliases[name] ?? name;
  const expected = new Map<string, HostTensor>();
  for (const name of golden.tensors.keys()) expected.set(known(name), await golden.read(name));
  const leastScale = LEAST_SCALE * Math.max(...[...expected.values()].map(largest));
  const used = new Set<string>();
  for (const parameter of model.parameters) {
    const parts = checkpoint.partsOf(parameter);
    const names = [...new Set(parts.map(({ tensor }) => known(tensor)))];
    for (const name of names) used.add(name);
    const missing = names.filter((name) => !expected.has(name));
    const label = partial(parts) ? `${names.join(', ')} (${parameter.key})` : names.join(', ');
    const gradient = gradients.get(parameter.name);
    if (missing.length > 0) findings.fail(`grad.${missing.join(', ')}`, `is missing from ${golden.name}`);
    else if (gradient === undefined) findings.fail(`grad.${label}`, 'has no gradient');
    else {
      const host = joined(parts.map((part) => ({ part, host: expected.get(known(part.tensor))! })));
      findings.matches(`grad.${label}`, await backend.read(gradient), host.shape, host, MODEL_GRADIENTS.relative, {
        leastScale,
        rounding: FAMILY_ROUNDING,
      });
    }
  }
  for (const name of expected.keys())
    if (!used.has(name)) findings.fail(`grad.${name}`, 'is the gradient of no parameter');
}

/** Whether a parameter is not simply a tensor of the file. */
function partial(parts: readonly StoredPart[]): boolean {
  return parts.length !== 1 || parts.some(({ shape, first, count }) => first !== 0 || count !== shape[0]);
}

/** The values of a parameter's gradient. The shape of a whole tensor is the file's (a convolution has an axis of 1). */
function joined(parts: readonly { readonly part: StoredPart; readonly host: HostTensor }[]): HostTensor {
  const pieces = parts.map(({ part, host }) => partOf(host, { ...part, shape: host.shape }));
  if (pieces.length === 1) return pieces[0]!;
  const [, ...rest] = pieces[0]!.shape;
  const rows = pieces.reduce((sum, { shape }) => sum + shape[0]!, 0);
  const data = Float64Array.from(pieces.flatMap((piece) => [...piece.data]));
  return { dtype: 'float64', shape: [rows, ...rest], data };
}
