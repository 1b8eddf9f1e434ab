/**
 * How kernels store activations between them: as they were computed, or rounded to halves, which takes half the memory
 * and traffic. Kernels compute in float32 either way. It names a link alternative of their shaders.
 */
export type Stored = 'floats' | 'halves';
