import type { Case } from '@mamba/conformance';
import type { BenchCase, MeasurementSpec, SuiteName } from './contract.ts';
import { readAll } from './values.ts';

/** Makes a bench case of a conformance case, checked and timed at that case's shape. */
export function fromCase(suite: SuiteName, base: Case, measurement: MeasurementSpec): BenchCase {
  return {
    suite,
    id: measurement.id,
    measurements: [measurement],
    tolerance: base.tolerance.relative,
    checked: 'the shape itself',
    checkOperations: measurement.work?.(0).operations ?? 0,
    async expected(reference) {
      const prepared = await base.prepare(reference);
      try {
        return await readAll(reference, prepared.run());
      } finally {
        prepared.dispose();
      }
    },
    async prepare(backend) {
      const prepared = await base.prepare(backend);
      const run = (): void => {
        for (const tensor of Object.values(prepared.run())) tensor.dispose();
      };
      return {
        actual: () => readAll(backend, prepared.run()),
        measured: { [measurement.id]: { run } },
        dispose: () => prepared.dispose(),
      };
    },
  };
}
