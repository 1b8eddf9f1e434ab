import type { Gpu } from '../gpu/gpu.ts';
import type { MatrixPrecision } from './matrix-precision.ts';

/**
 * Features that matrix units need. They are experimental, so they are asked for only where `matrixPrecision` allows
 * less than float32.
 */
export const MATRIX_FEATURES = [
  'shader-f16',
  'chromium-experimental-subgroup-matrix',
] as readonly string[] as readonly GPUFeatureName[];

/** The device's matrix units, as linear-matrix.wgsl uses them. */
export interface MatrixUnits {
  readonly precision: MatrixPrecision;
  /** Whether each value is taken as a pair of halves. */
  readonly pairs: boolean;
  /** Most matrices along a side of a subgroup's part of a tile, as workgroup memory holds them. */
  readonly side: 2 | 4;
}

/**
 * Returns the device's matrix units; undefined where the precision, the device or its limits rule them out. Products
 * are float32 then.
 */
export function findMatrixUnits(
  { device, info, limits, subgroups }: Gpu,
  precision: MatrixPrecision,
): MatrixUnits | undefined {
  if (precision === 'float32') return undefined;
  if (!MATRIX_FEATURES.every((feature) => device.features.has(feature))) return undefined;
  // The kernel gives work to subgroups of exactly 32 lanes.
  if (subgroups?.min !== 32 || subgroups.max !== 32) return undefined;
  const { subgroupMatrixConfigs = [] } = info as { readonly subgroupMatrixConfigs?: Iterable<MatrixConfig> };
  const fits = [...subgroupMatrixConfigs].some(
    ({ componentType, resultComponentType, M, N, K }) =>
      componentType === 'f16' && resultComponentType === 'f32' && M === 16 && N === 16 && K === 16,
  );
  if (!fits) return undefined;
  const pairs = precision === 'float16x2';
  const side = limits.maxComputeWorkgroupStorageSize / (pairs ? 10240 : 5120);
  return side < 2 ? undefined : { precision, pairs, side: side < 4 ? 2 : 4 };
}

/** An entry of GPUAdapterInfo.subgroupMatrixConfigs, which is not in the standard yet. */
interface MatrixConfig {
  readonly componentType: string;
  readonly resultComponentType: string;
  readonly M: number;
  readonly N: number;
  readonly K: number;
}
