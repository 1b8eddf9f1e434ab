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
  let worst: CheckRecord = { pass: true, maxAbsError: 0, scale: 0, relativeError: 0, tolerance, checked };
  for (const [name, values] of Object.entries(expected)) {
    const record = compareTensor(actual[name], values, tolerance, checked);
    if (worst.pass && (!record.pass || (record.relativeError ?? 0) >= (worst.relativeError ?? 0))) worst = record;
  }
  return worst;
}

function compareTensor(
  actual: HostArray | undefined,
  expected: HostArray,
  tolerance: number,
  checked: string,
): CheckRecord {
  let scale = 0;
  let error = 0;
  for (let index = 0; index < expected.length; index++) {
    const value = expected[index]!;
    scale = Math.max(scale, Math.abs(value));
    error = Math.max(error, Math.abs((actual?.[index] ?? Number.NaN) - value));
  }
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
