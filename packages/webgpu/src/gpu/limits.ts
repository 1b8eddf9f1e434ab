/**
 * Limits of a call on this device. Each function returns the reason why the call cannot run, or undefined where it can.
 */
import type { Gpu } from './gpu.ts';

/** Whether one binding holds `elements` of four bytes each. */
export function bindingRefusal(gpu: Gpu, what: string, elements: number): string | undefined {
  if (4 * elements <= gpu.maxBinding) return undefined;
  return `${what} would take ${4 * elements} bytes, more than the ${gpu.maxBinding} that a shader may bind here`;
}

/** Whether one dimension of a dispatch holds `count` workgroups. */
export function workgroupsRefusal(gpu: Gpu, what: string, count: number): string | undefined {
  const limit = gpu.device.limits.maxComputeWorkgroupsPerDimension;
  return count <= limit ? undefined : `${what} would take ${count} workgroups in one dimension, more than ${limit}`;
}
