import type { Gpu } from '../gpu/gpu.ts';

/** Features that matrix units need. Experimental: asked for only where `matrixPrecision` allows less than float32. */
export const MATRIX_FEATURES = [
  'shader-f16',
  'chromium-experimental-subgroup-matrix',
] as readonly string[] as readonly GPUFeatureName[];

/** The device's matrix units, as linear-matrix.wgsl uses them. */
export interface MatrixUnits {
  /** Each value as a pair of halves. */
  readonly pairs: boolean;
  /** Matrices a side of a subgroup's part of a tile, at most: what workgroup memory holds. */
  readonly side: 2 | 4;
}

/** Undefined where the option, the device or its limits rule them out; products are float32 then. */
export function matrixUnits(gpu: Gpu): MatrixUnits | undefined {
  const known = units.get(gpu);
  if (known !== undefined) return known.found;
  const found = find(gpu);
  units.set(gpu, { found });
  return found;
}

const units = new WeakMap<Gpu, { readonly found: MatrixUnits | undefined }>();

function find({ device, info, subgroups, options }: Gpu): MatrixUnits | undefined {
  const { matrixPrecision = 'float32' } = options;
  if (matrixPrecision === 'float32') return undefined;
  if (!MATRIX_FEATURES.every((feature) => device.features.has(feature))) return undefined;
  // The kernel deals work out to subgroups of 32 lanes.
  if (subgroups?.min !== 32 || subgroups.max !== 32) return undefined;
  const { subgroupMatrixConfigs = [] } = info as { readonly subgroupMatrixConfigs?: Iterable<MatrixConfig> };
  const fits = [...subgroupMatrixConfigs].some(
    ({ componentType, resultComponentType, M, N, K }) =>
      componentType === 'f16' && resultComponentType === 'f32' && M === 16 && N === 16 && K === 16,
  );
  if (!fits) return undefined;
  const pairs = matrixPrecision === 'float16x2';
  const side = device.limits.maxComputeWorkgroupStorageSize / (pairs ? 10240 : 5120);
  return side < 2 ? undefined : { pairs, side: side < 4 ? 2 : 4 };
}

/** An entry of GPUAdapterInfo.subgroupMatrixConfigs, which is not in the standard yet. */
interface MatrixConfig {
  readonly componentType: string;
  readonly resultComponentType: string;
  readonly M: number;
  readonly N: number;
  readonly K: number;
}
