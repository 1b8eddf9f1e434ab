/**
 * Public API: the WebGPU backend. Importing it touches no GPU; `webgpu().create()` does.
 * @module
 */
export type { Counters } from './gpu/counters.ts';
export type { ProfileEntry } from './gpu/profile-entry.ts';
export type { Toggles } from './gpu/toggles.ts';
export type { AttentionVariant } from './operations/attention-variant.ts';
export type { MatrixPrecision } from './operations/matrix-precision.ts';
export type { ProductVariant } from './operations/product-variant.ts';
export type { EulerBackwardLayout, ScanBackwardVariant } from './operations/selective-scan-backward-plan.ts';
export type { ScanVariant } from './operations/selective-scan-plan.ts';
export type { SsdVariant } from './operations/ssd-scan-plan.ts';
export type { TestingOptions, WebGpuOptions } from './options.ts';
export { countersOf, profileOf, webgpu } from './webgpu.ts';
