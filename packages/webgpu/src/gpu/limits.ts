/** What a call may ask of this device. Each gives the reason why it cannot run, in words, or undefined where it can. */
import type { Gpu } from './gpu.ts';

/** `elements` of four bytes each, in one binding. */
export function bindingRefusal(gpu: Gpu, what: string, elements: number): string | undefined {
  if (4 * elements <= gpu.maxBinding) return undefined;
  return `${what} would take ${4 * elements} bytes, more than the ${gpu.maxBinding} that a shader may bind here`;
}

/** `count` workgroups in one dimension of a dispatch. */
export function workgroupsRefusal(gpu: Gpu, what: string, count: number): string | undefined {
  const limit = gpu.device.limits.maxComputeWorkgroupsPerDimension;
  return count <= limit ? undefined : `${what} would take ${count} workgroups in one dimension, more than ${limit}`;
}
