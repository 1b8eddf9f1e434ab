/**
 * The public API: the backend that the others are compared with, and the time-invariant case as a convolution (S4D).
 * @module
 */
export { reference } from './reference.ts';
export { type S4dConvolution, type S4dSystem, s4dConvolve, s4dKernel } from './s4d.ts';
