import type { Check } from '@mamba/conformance';
import { acquire } from '../../src/gpu/acquire.ts';
import { type WebGpuOptions, webgpu } from '../../src/index.ts';
import { recordingDevice } from '../recording-device.ts';
import type { PipelinesOfChecks } from './selection.ts';

/**
 * Returns the pipelines that each check takes on this machine's adapter with these options. Nothing is computed: the
 * checks run, and most of them fail or compare zeros, on a device that only records.
 */
export async function recordPipelines(
  checks: readonly Check[],
  options: Pick<WebGpuOptions, 'defaultLimits' | 'subgroups'>,
): Promise<PipelinesOfChecks> {
  const { device } = await acquire(options);
  let labels = new Set<string>();
  const create = (record: (label: string) => void) =>
    webgpu({ device: recordingDevice(device, record), subgroups: options.subgroups }).create();
  const backend = await create((label) => labels.add(label));
  // What a check asks of the reference is not asked of this backend in a real run.
  const reference = await create(() => {});
  device.destroy();
  const recorded = new Map<string, ReadonlySet<string>>();
  for (const check of checks) {
    labels = new Set();
    await check.run({ backend, reference }).catch(() => undefined);
    recorded.set(check.id, labels);
  }
  await Promise.all([backend.dispose(), reference.dispose()]);
  return recorded;
}
