/** How the factors of products may be rounded; see `WebGpuOptions.matrixPrecision`. */
export type MatrixPrecision = 'float32' | 'float16x2' | 'float16';
