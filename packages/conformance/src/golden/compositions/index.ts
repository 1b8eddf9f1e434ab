/** The compositions of core that golden files may name, by these names. */
import { depthwiseConv1d } from './depthwise-conv1d.ts';
import type { GoldenCompositions } from './golden-composition.ts';
import { swiglu } from './swiglu.ts';

export const GOLDEN_COMPOSITIONS: GoldenCompositions = { swiglu, depthwise_conv1d: depthwiseConv1d };
