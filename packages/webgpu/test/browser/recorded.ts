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
  const recording = recordingDevice(device, (label) => labels.add(label));
  device.destroy();
  const backend = await webgpu({ device: recording, subgroups: options.subgroups }).create();
  const recorded = new Map<string, ReadonlySet<string>>();
  for (const check of checks) {
    labels = new Set();
    await check.run({ backend, reference: backend }).catch(() => undefined);
    recorded.set(check.id, labels);
  }
  await backend.dispose();
  return recorded;
}
