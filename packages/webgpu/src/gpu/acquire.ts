import { MambaError } from '@mamba/core';
import { invalid } from '@mamba/core/driver';
import { platformGpu, platformRemedy, SOFTWARE_TOGGLES } from '#platform';
import { keepUntilDrained } from './instances.ts';
import type { Toggles } from './toggles.ts';

/** The options that decide on the device; `WebGpuOptions` describes them. */
export interface AcquireOptions {
  readonly device?: GPUDevice | undefined;
  readonly gpu?: GPU | undefined;
  readonly powerPreference?: GPUPowerPreference | undefined;
  readonly toggles?: Toggles | undefined;
  readonly profile?: boolean | undefined;
  readonly subgroups?: boolean | undefined;
  readonly defaultLimits?: boolean | undefined;
  /** Further features that are asked for where the adapter has them. */
  readonly features?: readonly GPUFeatureName[] | undefined;
}

/** A device, and facts about it. */
export interface Acquired {
  readonly device: GPUDevice;
  /**
   * The instance that the user passed in `gpu`, held until its device is gone. Our own instances live as long as the
   * process.
   */
  readonly gpu: GPU | undefined;
  readonly info: GPUAdapterInfo;
  /** Whether the device was made here, and is destroyed on dispose; a device that the user passed is left alone. */
  readonly owned: boolean;
  /** The smallest and largest subgroup; undefined where the device has no subgroups. */
  readonly subgroups: { readonly min: number; readonly max: number } | undefined;
}

/** Features that kernels use where the adapter has them. */
const FEATURES: readonly GPUFeatureName[] = ['subgroups' as GPUFeatureName, 'timestamp-query'];

/** Limits that are raised to the adapter's maximum. Kernels run with the defaults of a browser as well. */
const LIMITS = [
  'maxStorageBufferBindingSize',
  'maxBufferSize',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxStorageBuffersPerShaderStage',
] as const;

/** @throws MambaError `unavailable` with the remedy for this platform; `invalid-argument` on contradictory options. */
export async function acquire(options: AcquireOptions): Promise<Acquired> {
  if (options.device !== undefined) return adopt(options.device, options);
  if (options.gpu === undefined) return request(options);
  try {
    return await request(options);
  } catch (error) {
    keepUntilDrained(options.gpu, Promise.resolve());
    throw error;
  }
}

async function request(options: AcquireOptions): Promise<Acquired> {
  const gpu = options.gpu ?? (await platformGpu(options.toggles ?? NO_TOGGLES));
  if (gpu === undefined) throw unavailable('WebGPU does not exist here', undefined);
  const preference = { powerPreference: options.powerPreference ?? 'high-performance' } as const;
  const adapter = await gpu.requestAdapter(preference);
  if (adapter === null) throw unavailable('WebGPU has no adapter here', gpu);
  // An engine's own WebGPU (a browser's, Deno's) takes no toggles.
  const ours = options.gpu === undefined && options.toggles === undefined && gpu !== globalThis.navigator?.gpu;
  if (ours && SOFTWARE_TOGGLES !== undefined && isSoftware(adapter.info))
    return request({ ...options, toggles: SOFTWARE_TOGGLES });
  const requiredFeatures = [...FEATURES, ...(options.features ?? [])].filter((feature) =>
    adapter.features.has(feature),
  );
  if (options.profile === true && !requiredFeatures.includes('timestamp-query'))
    throw unavailable('the adapter has no timestamp-query, which profile needs', gpu);
  const requiredLimits: Record<string, number> = {};
  if (options.defaultLimits !== true) for (const name of LIMITS) requiredLimits[name] = adapter.limits[name];
  let device: GPUDevice;
  try {
    device = await adapter.requestDevice({ label: 'mamba', requiredFeatures, requiredLimits });
  } catch (cause) {
    throw unavailable('the adapter gives no device', gpu, cause);
  }
  return {
    device,
    gpu: options.gpu,
    info: adapter.info,
    owned: true,
    subgroups: subgroupsOf(device, adapter.info, options),
  };
}

function adopt(device: GPUDevice, options: AcquireOptions): Acquired {
  if (options.gpu !== undefined || options.toggles !== undefined)
    throw invalid('webgpu.device', 'a device beside gpu or toggles', 'one of them');
  if (options.profile === true && !device.features.has('timestamp-query'))
    throw invalid('webgpu.device', 'a device without timestamp-query', 'one with it, as profile needs');
  const info = device.adapterInfo;
  return { device, gpu: undefined, info, owned: false, subgroups: subgroupsOf(device, info, options) };
}

function subgroupsOf(device: GPUDevice, info: GPUAdapterInfo, options: AcquireOptions): Acquired['subgroups'] {
  if (options.subgroups === false || !device.features.has('subgroups' as GPUFeatureName)) return undefined;
  return { min: info.subgroupMinSize, max: info.subgroupMaxSize };
}

/** Whether the adapter computes on the CPU: its times say nothing about hardware. */
export function isSoftware({ architecture, isFallbackAdapter }: GPUAdapterInfo): boolean {
  return architecture === 'swiftshader' || isFallbackAdapter;
}

const NO_TOGGLES = { enable: [], disable: [] } as const;

function unavailable(summary: string, gpu: GPU | undefined, cause?: unknown): MambaError {
  return new MambaError('unavailable', summary, { origin: 'webgpu', remedy: platformRemedy(gpu), cause });
}
