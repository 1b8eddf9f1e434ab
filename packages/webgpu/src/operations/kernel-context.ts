import type { Gpu } from '../gpu/gpu.ts';
import type { AttentionVariant } from './attention-variant.ts';
import type { MatrixPrecision } from './matrix-precision.ts';
import { findMatrixUnits, type MatrixUnits } from './matrix-units.ts';
import { Places } from './places.ts';
import type { ProductVariant } from './product-variant.ts';
import { Turns } from './rope.ts';
import type { ScanBackwardVariant } from './selective-scan-backward-plan.ts';
import type { ScanVariant } from './selective-scan-plan.ts';
import type { SsdVariant } from './ssd-scan-plan.ts';

/** The options that influence the choice of kernels. */
export interface KernelOptions {
  readonly matrixPrecision?: MatrixPrecision | undefined;
  readonly scanVariant?: ScanVariant | undefined;
  readonly scanBackwardVariant?: ScanBackwardVariant | undefined;
  readonly ssdVariant?: SsdVariant | undefined;
  readonly attentionVariant?: AttentionVariant | undefined;
  readonly productVariant?: ProductVariant | undefined;
}

/** A device, and all else that decides which kernels run on it. */
export interface KernelContext {
  readonly gpu: Gpu;
  /** Frequencies of rotary positions on the device. */
  readonly turns: Turns;
  /** Where rows of unequal age go on. */
  readonly places: Places;
  /** Undefined where products are computed in float32. */
  readonly matrixUnits: MatrixUnits | undefined;
  readonly scanVariant: ScanVariant | undefined;
  readonly scanBackwardVariant: ScanBackwardVariant | undefined;
  readonly ssdVariant: SsdVariant | undefined;
  readonly attentionVariant: AttentionVariant | undefined;
  readonly productVariant: ProductVariant | undefined;
}

export function kernelContext(gpu: Gpu, { matrixPrecision = 'float32', ...variants }: KernelOptions): KernelContext {
  const { scanVariant, scanBackwardVariant, ssdVariant, attentionVariant, productVariant } = variants;
  const matrixUnits = findMatrixUnits(gpu, matrixPrecision);
  return {
    gpu,
    turns: new Turns(gpu),
    places: new Places(gpu),
    matrixUnits,
    scanVariant,
    scanBackwardVariant,
    ssdVariant,
    attentionVariant,
    productVariant,
  };
}
