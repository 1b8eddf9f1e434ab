/**
 * Limits of this device, and of a call on it: each refusal is the reason why the call cannot run, or undefined where it
 * can.
 */
import type { Gpu } from './gpu.ts';

const NAMES = [
  'maxBufferSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupsPerDimension',
  'maxComputeWorkgroupStorageSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
] as const;

export type Limits = Readonly<Record<(typeof NAMES)[number], number>>;

/** Copies the limits, since each read of the device's own is a call of native code, and a call asks for many. */
export function limitsOf({ limits }: GPUDevice): Limits {
  return Object.fromEntries(NAMES.map((name) => [name, limits[name]])) as Limits;
}

/** Whether one binding holds `elements` of four bytes each. */
export function bindingRefusal(gpu: Gpu, what: string, elements: number): string | undefined {
  if (4 * elements <= gpu.maxBinding) return undefined;
  return `${what} would take ${4 * elements} bytes, more than the ${gpu.maxBinding} that a shader may bind here`;
}

/** Whether one dimension of a dispatch holds `count` workgroups. */
export function workgroupsRefusal(gpu: Gpu, what: string, count: number): string | undefined {
  const limit = gpu.limits.maxComputeWorkgroupsPerDimension;
  return count <= limit ? undefined : `${what} would take ${count} workgroups in one dimension, more than ${limit}`;
}
