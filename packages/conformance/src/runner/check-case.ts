import type { Backend, HostArray } from '@mamba/core';
import type { Case, Outputs } from '../cases/case.ts';
import type { Check, CheckContext, Skipped } from './check.ts';
import { Findings, type TensorReport } from './report.ts';

/**
 * Runs a case on both backends and compares every result. Skipped where the backend says that it does not support the case.
 * Throws what the backend throws; nothing stays allocated.
 */
export async function checkCase(
  item: Case,
  { backend, reference }: CheckContext,
  source = 'suite',
): Promise<readonly TensorReport[] | Skipped> {
  const support = item.supports(backend);
  if (!support.supported) return { skipped: support.reason };
  const expected = await runCase(item, reference);
  const actual = await runCase(item, backend);
  const findings = new Findings(source, item.id, backend.precision);
  for (const name of Object.keys(expected)) {
    const values = actual[name];
    if (values === undefined) findings.fail(name, 'is missing');
    else findings.close(name, values, expected[name]!, item.tolerance.relative);
  }
  for (const name of Object.keys(actual)) if (!(name in expected)) findings.fail(name, 'is not in the reference');
  return findings.reports;
}

export function caseCheck(item: Case): Check {
  return { id: item.id, source: 'suite', case: item.id, run: (context) => checkCase(item, context) };
}

/** A case's results on the host; frees everything else. */
export async function runCase(item: Case, backend: Backend): Promise<Readonly<Record<string, HostArray>>> {
  const prepared = await item.prepare(backend);
  try {
    return await readOutputs(backend, prepared.run());
  } finally {
    prepared.dispose();
  }
}

/** Reads and disposes. */
export async function readOutputs(backend: Backend, outputs: Outputs): Promise<Readonly<Record<string, HostArray>>> {
  try {
    const values: Record<string, HostArray> = {};
    for (const [name, tensor] of Object.entries(outputs)) values[name] = await backend.read(tensor);
    return values;
  } finally {
    for (const tensor of Object.values(outputs)) tensor.dispose();
  }
}
