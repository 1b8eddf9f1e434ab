/**
 * The exports of assembly/index.ts. Addresses, strides in bytes, flags and extents are all numbers here: WebAssembly takes
 * addresses above 2 GiB modulo 2^32.
 */
export interface KernelExports {
  reserved(): number;
  add(a: number, b: number, y: number, count: number): void;
  argmax(logits: number, ids: number, rows: number, vocab: number): void;
  causalConv1d(
    x: number,
    weight: number,
    bias: number,
    state: number,
    resets: number,
    y: number,
    length: number,
    dim: number,
    width: number,
    activate: number,
    scratch: number,
  ): void;
  concat(x: number, y: number, outer: number, bytes: number, yStride: number): void;
  embedding(table: number, ids: number, y: number, count: number, bytes: number): void;
  linearMany(
    x: number,
    weight: number,
    bias: number,
    y: number,
    rows: number,
    inputs: number,
    outputs: number,
    start: number,
    end: number,
    scratch: number,
  ): void;
  linearFew(
    x: number,
    weight: number,
    bias: number,
    y: number,
    rows: number,
    inputs: number,
    outputs: number,
    start: number,
    end: number,
    scratch: number,
  ): void;
  logProb(logits: number, ids: number, y: number, rows: number, vocab: number): void;
  rmsNorm(x: number, weight: number, y: number, rows: number, channels: number, eps: number): void;
  softmax(logits: number, weights: number, vocab: number, temperature: number): number;
  selectiveScan(
    u: number,
    delta: number,
    A: number,
    B: number,
    C: number,
    D: number,
    z: number,
    deltaBias: number,
    resets: number,
    state: number,
    y: number,
    rowStride: number,
    stepStride: number,
    length: number,
    channels: number,
    states: number,
    deltaSoftplus: number,
    discretization: number,
    constantB: number,
    constantC: number,
    chunk: number,
    scratch: number,
  ): void;
  slice(x: number, y: number, outer: number, bytes: number, xStride: number): void;
}

export const KERNEL_NAMES: readonly (keyof KernelExports)[] = [
  'reserved',
  'add',
  'argmax',
  'causalConv1d',
  'concat',
  'embedding',
  'linearMany',
  'linearFew',
  'logProb',
  'rmsNorm',
  'softmax',
  'selectiveScan',
  'slice',
];
