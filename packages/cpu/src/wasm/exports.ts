/**
 * The exports of assembly/index.ts. Addresses, strides in bytes, flags and extents are all numbers here: WebAssembly takes
 * addresses above 2 GiB modulo 2^32.
 */
export interface KernelExports {
  reserved(): number;
  add(a: number, b: number, y: number, count: number): void;
  argmax(logits: number, ids: number, rows: number, vocab: number): void;
  concat(x: number, y: number, outer: number, bytes: number, yStride: number): void;
  embedding(table: number, layout: number, ids: number, y: number, count: number, channels: number): void;
  logProb(logits: number, ids: number, y: number, rows: number, vocab: number): void;
  /** The largest magnitude of a row; NaN where it holds one. */
  magnitude(logits: number, vocab: number): number;
  packBits(from: number, inputs: number, count: number, to: number): void;
  packMatrix(from: number, inputs: number, count: number, layout: number, to: number): void;
  unpackMatrix(from: number, inputs: number, first: number, count: number, layout: number, to: number): void;
  rmsNorm(x: number, weight: number, y: number, rows: number, channels: number, eps: number): void;
  slice(x: number, y: number, outer: number, bytes: number, xStride: number): void;
  /** Rows of a tile of a matrix product. */
  tileRows(wide: number): number;
  softmax(logits: number, weights: number, vocab: number, temperature: number): number;
  runAlone(program: number, count: number): void;
  /** 0 where a member of the team failed. */
  runTeam(program: number, count: number, control: number, maySleep: number): number;
  /** The two halves of `runTeam`. */
  open(program: number, count: number, control: number): void;
  finish(program: number, count: number, control: number, maySleep: number): number;
  serve(control: number, thread: number): void;
  fail(control: number): void;
  stop(control: number): void;
}

export const KERNEL_NAMES: readonly (keyof KernelExports)[] = [
  'reserved',
  'add',
  'argmax',
  'concat',
  'embedding',
  'logProb',
  'magnitude',
  'packBits',
  'packMatrix',
  'unpackMatrix',
  'rmsNorm',
  'slice',
  'softmax',
  'tileRows',
  'runAlone',
  'runTeam',
  'open',
  'finish',
  'serve',
  'fail',
  'stop',
];
