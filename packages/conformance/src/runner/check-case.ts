import type { Backend, HostArray } from '@mamba/core';
import type { Case, Outputs } from '../cases/case.ts';
import type { Check, CheckContext, Skipped } from './check.ts';
import { Findings, type TensorReport } from './report.ts';

/**
 * Runs a case on both backends and compares every result. An optional case that the backend does not support is
 * skipped; one that is not optional has to run, or to be a known gap. Throws any error of the backend, and frees
 * everything in any case.
 */
export async function checkCase(
  item: Case,
  { backend, reference }: CheckContext,
  source = 'suite',
): Promise<readonly TensorReport[] | Skipped> {
  const support = item.supports(backend);
  if (!support.supported && item.optional) return { skipped: support.reason };
  const findings = new Findings(source, item.id, backend.precision);
  if (!support.supported) {
    findings.fail('-', `is not supported, and not optional: ${support.reason}`);
    return findings.reports;
  }
  const expected = await runCase(item, reference);
  const actual = await runCase(item, backend);
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

/** Runs a case and reads its results. Frees everything on the backend. */
async function runCase(item: Case, backend: Backend): Promise<Readonly<Record<string, HostArray>>> {
  const prepared = await item.prepare(backend);
  try {
    return await readOutputs(backend, prepared.run());
  } finally {
    prepared.dispose();
  }
}

/** Reads the results and disposes them. */
export async function readOutputs(backend: Backend, outputs: Outputs): Promise<Readonly<Record<string, HostArray>>> {
  try {
    // All at once: a device answers each read after a round trip, which in a browser takes longer than a small kernel.
    const reads = Object.values(outputs).map((tensor) => backend.read(tensor));
    // All have ended before a tensor is disposed, those after a failure too.
    await Promise.allSettled(reads);
    const values = await Promise.all(reads);
    return Object.fromEntries(Object.keys(outputs).map((name, index) => [name, values[index]!]));
  } finally {
    for (const tensor of Object.values(outputs)) tensor.dispose();
  }
}
