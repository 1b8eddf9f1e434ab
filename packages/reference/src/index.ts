/** Public API: the backend that the others are compared with, and the convolution view of its time-invariant case. */
export { reference } from './reference.ts';
export { type S4dConvolution, type S4dSystem, s4dConvolve, s4dKernel } from './s4d.ts';
