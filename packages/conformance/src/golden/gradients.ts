/** Checks the gradients of a whole checkpoint: `gradients.safetensors`, as the fixtures' README describes it. */
import { type Checkpoint, type CheckpointLocation, openCheckpoint, type SafetensorsFile } from '@mamba/checkpoint';
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
  const expected = new Map<string, HostTensor>();
  for (const name of golden.tensors.keys()) expected.set(name, await golden.read(name));
  const leastScale = LEAST_SCALE * Math.max(...[...expected.values()].map(largest));
  for (const parameter of model.parameters) {
    const name = checkpoint.tensorsOf(parameter).join(', ');
    const host = expected.get(name);
    const gradient = gradients.get(parameter.name);
    expected.delete(name);
    if (host === undefined) findings.fail(`grad.${name}`, `is missing from ${golden.name}`);
    else if (gradient === undefined) findings.fail(`grad.${name}`, 'has no gradient');
    // The file has the shapes of its own tensors (a convolution's weight has an axis of extent 1).
    else
      findings.matches(`grad.${name}`, await backend.read(gradient), host.shape, host, MODEL_GRADIENTS.relative, {
        leastScale,
        rounding: FAMILY_ROUNDING,
      });
  }
  for (const name of expected.keys()) findings.fail(`grad.${name}`, 'is the gradient of no parameter');
}
