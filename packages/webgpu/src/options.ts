import { checkBoolean, checkNumber, checkOneOf, checkOptions, invalid } from '@mamba/core/driver';
import type { Toggles } from './gpu/toggles.ts';
import type { AttentionVariant } from './operations/attention-variant.ts';
import type { MatrixPrecision } from './operations/matrix-precision.ts';
import type { ProductVariant } from './operations/product-variant.ts';
import type { ScanBackwardVariant } from './operations/selective-scan-backward-plan.ts';
import type { ScanVariant } from './operations/selective-scan-plan.ts';
import type { SsdVariant } from './operations/ssd-scan-plan.ts';

/** Options of `webgpu`. */
export interface WebGpuOptions {
  /** A device to run on. It stays the caller's: dispose frees what the backend made on it, and leaves it alive. */
  readonly device?: GPUDevice | undefined;
  /** A GPU to ask for an adapter, in place of this platform's own. */
  readonly gpu?: GPU | undefined;
  /** Default `high-performance`. */
  readonly powerPreference?: GPUPowerPreference | undefined;
  /**
   * Node only: Dawn's toggles by name, for example `{ enable: ['disable_robustness'], disable: [] }`. Some remove
   * checks that keep a bug of a shader from reading other memory; none is set unless named here.
   */
  readonly toggles?: Toggles | undefined;
  /** Whether every dispatch is timed, see `profileOf`. Needs `timestamp-query`. Default false. */
  readonly profile?: boolean | undefined;
  /** Whether subgroups are used where the device has them. Default true. */
  readonly subgroups?: boolean | undefined;
  /** Whether to ask for no more than the limits that every browser grants. Default false. */
  readonly defaultLimits?: boolean | undefined;
  /**
   * Bytes of freed memory that are kept for reuse beyond the peak of use. More of them save allocations, which are slow
   * on every device. Default 256 MiB.
   */
  readonly spareBytes?: number | undefined;
  /**
   * The rounding that products of more than a few rows may use, where the device has matrix units
   * (`chromium-experimental-subgroup-matrix`, which Chrome has behind a flag and Dawn behind the toggles
   * `allow_unsafe_apis` and, on NVIDIA, `vulkan_enable_f16_on_nvidia`). `float32`: they are not used. `float16x2`:
   * every operand as a pair of halves, near float32. `float16`: operands are rounded to halves, and so is what lies
   * between the kernels of a Mamba block's prompt. Sums and states are float32 in each. Inputs beyond 65504 become
   * infinite in the last two. Without such units float32 is used. Default `float32`.
   */
  readonly matrixPrecision?: MatrixPrecision | undefined;
  /** Options for tests and measurements of this package. No release promises to keep them. */
  readonly testing?: TestingOptions | undefined;
}

/** What tests force. Results stay right whatever is chosen; only speed differs. */
export interface TestingOptions {
  /** Forces the layout of the selective scan, in place of the rule. */
  readonly scanVariant?: ScanVariant | undefined;
  /** Forces the layout of the backward selective scan. */
  readonly scanBackwardVariant?: ScanBackwardVariant | undefined;
  /** Forces the layout of Mamba-2's scan. */
  readonly ssdVariant?: SsdVariant | undefined;
  /** Forces the layout of attention. */
  readonly attentionVariant?: AttentionVariant | undefined;
  /** Forces the tiles of products of many rows. */
  readonly productVariant?: ProductVariant | undefined;
}

const OPTIONS: readonly (keyof WebGpuOptions)[] = [
  'device',
  'gpu',
  'powerPreference',
  'toggles',
  'profile',
  'subgroups',
  'defaultLimits',
  'spareBytes',
  'matrixPrecision',
  'testing',
];

const VARIANTS: readonly (keyof TestingOptions)[] = [
  'scanVariant',
  'scanBackwardVariant',
  'ssdVariant',
  'attentionVariant',
  'productVariant',
];

/** @throws MambaError `invalid-argument` on unknown options or values. */
export function checkWebGpuOptions(options: WebGpuOptions): void {
  checkOptions('webgpu', options, OPTIONS);
  const { device, gpu, toggles, testing, powerPreference, matrixPrecision, spareBytes } = options;
  for (const flag of ['profile', 'subgroups', 'defaultLimits'] as const)
    if (options[flag] !== undefined) checkBoolean(`webgpu.${flag}`, options[flag]);
  if (powerPreference !== undefined)
    checkOneOf('webgpu.powerPreference', powerPreference, ['high-performance', 'low-power']);
  if (matrixPrecision !== undefined)
    checkOneOf('webgpu.matrixPrecision', matrixPrecision, ['float32', 'float16x2', 'float16']);
  if (spareBytes !== undefined) checkNumber('webgpu.spareBytes', spareBytes, 0, Number.MAX_SAFE_INTEGER);
  if (testing !== undefined) checkOptions('webgpu.testing', testing, VARIANTS);
  const variants = VARIANTS.map((name) => [`testing.${name}`, testing?.[name]]);
  const objects = { device, gpu, ...Object.fromEntries(variants) };
  for (const [name, value] of Object.entries(objects))
    if (value !== undefined && (typeof value !== 'object' || value === null))
      throw invalid(`webgpu.${name}`, String(value), 'an object');
  if (toggles !== undefined) {
    const names = (list: unknown) => Array.isArray(list) && list.every((name) => typeof name === 'string');
    if (!names(toggles?.enable) || !names(toggles?.disable))
      throw invalid('webgpu.toggles', JSON.stringify(toggles), '{ enable, disable }, each a list of names of toggles');
  }
}
