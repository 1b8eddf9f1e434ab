/** The rounding that factors of products may get; see `WebGpuOptions.matrixPrecision`. */
export type MatrixPrecision = 'float32' | 'float16x2' | 'float16';
