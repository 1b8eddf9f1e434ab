import type { Backend, HostArray, Tensor } from '@mamba/core';
import type { CheckRecord } from '../schema/report.ts';
import type { Values } from './contract.ts';

/** Reads every tensor, and disposes all. */
export async function readAll(backend: Backend, tensors: Readonly<Record<string, Tensor>>): Promise<Values> {
  try {
    const values: Record<string, HostArray> = {};
    for (const [name, tensor] of Object.entries(tensors)) values[name] = await backend.read(tensor);
    return values;
  } finally {
    for (const tensor of Object.values(tensors)) tensor.dispose();
  }
}

/** The check of the worst tensor: its largest absolute error, relative to its largest reference value. */
export function compareValues(
  actual: Values,
  expected: Values,
  { tolerance, checked }: { readonly tolerance: number; readonly checked: string },
): CheckRecord {
  const floor = SMALLEST_SCALE * Object.values(expected).reduce((most, values) => Math.max(most, scaleOf(values)), 0);
  let worst: CheckRecord = { pass: true, maxAbsError: 0, scale: 0, relativeError: 0, tolerance, checked };
  for (const [name, values] of Object.entries(expected)) {
    const record = compareTensor(actual[name], values, floor, { tolerance, checked });
    if (worst.pass && (!record.pass || (record.relativeError ?? 0) >= (worst.relativeError ?? 0))) worst = record;
  }
  return worst;
}

/** Some gradients are zero by mathematics: their rounding is held to 1e-7 of the largest tensor of the same check. */
const SMALLEST_SCALE = 1e-3;

function scaleOf(values: HostArray): number {
  let scale = 0;
  for (let index = 0; index < values.length; index++) scale = Math.max(scale, Math.abs(values[index]!));
  return scale;
}

function compareTensor(
  actual: HostArray | undefined,
  expected: HostArray,
  floor: number,
  { tolerance, checked }: { readonly tolerance: number; readonly checked: string },
): CheckRecord {
  const scale = Math.max(scaleOf(expected), floor);
  let error = 0;
  for (let index = 0; index < expected.length; index++)
    error = Math.max(error, Math.abs((actual?.[index] ?? Number.NaN) - expected[index]!));
  const relative = scale === 0 ? error : error / scale;
  const finite = Number.isFinite(relative) && actual?.length === expected.length;
  return {
    pass: finite && relative <= tolerance,
    maxAbsError: finite ? error : null,
    scale,
    relativeError: finite ? relative : null,
    tolerance,
    checked,
  };
}
