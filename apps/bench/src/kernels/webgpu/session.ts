/** The session that the sections of the webgpu kernels share: options, rows of the report, and a device. */
import type { DType } from '@mamba/core';
import type { EulerBackwardLayout, MatrixPrecision, ProductVariant, ScanVariant, Toggles } from '@mamba/webgpu';
import { type Heat, heater } from './heater.ts';

export interface WebGpuKernelOptions {
  readonly sections: readonly WebGpuSection[];
  /** Small shapes and single samples, as a check of the program. */
  readonly quick: boolean;
  /** Sets Dawn's toggles that remove checks. */
  readonly unchecked: boolean;
  readonly precisions: readonly MatrixPrecision[];
  /** Batch, channels and length of scans; empty: the section's own. */
  readonly shapes: readonly ScanExtents[];
  /** Layouts of the scan that are forced beside the rule. */
  readonly layouts: readonly ForcedLayout[];
  /** The same of backward scans. */
  readonly backwardLayouts: readonly ForcedBackwardLayout[];
  /** Sizes of products of `linear`; empty: the section's own. */
  readonly products: readonly ProductExtents[];
  /** Tiles of products of `linear` that are forced beside the rule. */
  readonly tiles: readonly ForcedTiles[];
  /** Times scans by the clock over many calls in a row, without the device's timestamps. */
  readonly inARow: boolean;
  /** Names of sizes; empty: the section's own. */
  readonly models: readonly ModelName[];
  /** Dtypes of the matrices of `models`, `batches` and `linear`; empty: the section's own. */
  readonly dtypes: readonly DType[];
}

export const WEBGPU_SECTIONS = [
  'ceilings',
  'scan',
  'scan-backward',
  'slope',
  'linear',
  'linear-backward',
  'conv',
  'attention',
  'ssd-scan',
  'small',
  'sample',
  'models',
  'prefills',
  'batches',
  'transformer',
  'training',
  'matrix-units',
] as const;
export type WebGpuSection = (typeof WEBGPU_SECTIONS)[number];

export const PRECISIONS = ['float32', 'float16x2', 'float16'] as const satisfies readonly MatrixPrecision[];

export const KERNEL_MODELS = ['mamba-130m', 'mamba-370m', 'mamba-1.4b', 'mamba-2.8b'] as const;
export type ModelName = (typeof KERNEL_MODELS)[number];

export type ScanExtents = readonly [batch: number, dim: number, length: number];

export type ProductExtents = readonly [rows: number, inputs: number, outputs: number];

export interface ForcedTiles {
  /** The text of the option: `extent:parts of the inputs`. */
  readonly text: string;
  readonly variant: ProductVariant;
}

export interface ForcedLayout {
  /** The layout as the user wrote it: `lanes:channels:slices:steps:chunk length`. */
  readonly text: string;
  readonly euler: ScanVariant['euler'];
  /** Steps of a chunk; 0 where the sequence is not cut. */
  readonly chunkLength: number;
}

export interface ForcedBackwardLayout {
  /** As the user wrote it: the fields of `euler` in their order, and the chunk length. */
  readonly text: string;
  readonly euler: EulerBackwardLayout;
  /** Steps of a chunk; 0 where the sequence is not cut. */
  readonly chunkLength: number;
}

/** A line of the report: a time, and figures by their units. */
export interface KernelRow {
  readonly name: string;
  readonly microseconds?: number | undefined;
  readonly [figure: string]: string | number | undefined;
}

export interface Session extends WebGpuKernelOptions {
  readonly toggles: Toggles;
  report(row: KernelRow): void;
  fail(section: string, error: unknown): void;
  /** The device's copy bandwidth, once the section `ceilings` has measured it. */
  copyBytesPerSecond?: number | undefined;
}

export function togglesOf({ unchecked, quick }: Pick<WebGpuKernelOptions, 'unchecked' | 'quick'>): Toggles {
  return {
    enable: [
      // The first two are what matrix units need.
      'allow_unsafe_apis',
      'vulkan_enable_f16_on_nvidia',
      ...(unchecked ? ['disable_robustness', 'disable_workgroup_init', 'skip_validation'] : []),
    ],
    disable: [
      // Timestamps are quantised to 100 µs by default.
      'timestamp_quantization',
      // SwiftShader takes seconds to compile a kernel whose workgroup memory this extension zeroes.
      ...(quick ? ['use_vulkan_zero_initialize_workgroup_memory_extension'] : []),
    ],
  };
}

const FEATURES = ['timestamp-query', 'subgroups', 'shader-f16', 'chromium-experimental-subgroup-matrix'];

const LIMITS = [
  'maxStorageBuffersPerShaderStage',
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
] as const;

/** Dawn's instances are kept for the life of the process: scheduled callbacks crash where one is collected. */
const instances: GPU[] = [];

/** Passes one device to a section, so that all of its backends share pipelines; `heat` keeps the device's clocks up. */
export async function withDevice(
  { toggles, quick }: Session,
  body: (device: GPUDevice, heat: Heat | undefined) => Promise<void>,
): Promise<void> {
  const { create } = await import('webgpu');
  const gpu = create([
    `enable-dawn-features=${toggles.enable.join(',')}`,
    `disable-dawn-features=${toggles.disable.join(',')}`,
  ]);
  instances.push(gpu);
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (adapter === null) throw new Error('WebGPU has no adapter here');
  const device = await adapter.requestDevice({
    requiredFeatures: FEATURES.filter((feature) => adapter.features.has(feature)) as GPUFeatureName[],
    requiredLimits: Object.fromEntries(LIMITS.map((limit) => [limit, adapter.limits[limit]])),
  });
  // Dawn's bindings leave the matrix configurations out of a device's own information.
  Object.defineProperty(device, 'adapterInfo', { value: adapter.info });
  try {
    await body(device, quick ? undefined : await heater(device));
  } finally {
    device.destroy();
  }
}
