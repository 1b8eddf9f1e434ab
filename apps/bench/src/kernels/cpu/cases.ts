/** The kernels that are timed on the cpu backend, at the shapes of mamba-130m, and what each is measured in. */
import { type Backend, BYTES_PER_WEIGHT, type DType, type HostTensor, parameterCount, sizeOf } from '@mamba/core';
import { disposeAll } from '@mamba/core/toolkit';
import { initialParameters, Optimiser, TrainableModel } from '@mamba/train';
import { HEADS, LANGUAGE, step, stepWork } from '../../cases/train.ts';
import type { SsdShape } from '../../cases/work.ts';
import { smallOperations } from '../small-operations.ts';

/** Names of the machine's limits, with which kernels are compared. */
export const LIMITS = {
  operations: 'machine: multiply + add',
  bandwidth: 'machine: read',
  bandwidthOfTwo: 'machine: read, 2 threads',
} as const;

export interface KernelCase {
  readonly name: string;
  /** The unit of a row's value; one that begins with `ns` is a time for a unit of work, others are rates. */
  readonly unit: string;
  /** Units of work in one call. */
  readonly work: number;
  /** Calls of one sample. Default 1. */
  readonly calls?: number | undefined;
  /** Two threads are timed by the clock, one in processor time. Default 1. */
  readonly threads?: 2 | undefined;
  /** The limit of which a share is told. */
  readonly limit?: (typeof LIMITS)[keyof typeof LIMITS] | undefined;
  /** The name of a case on one thread: the value is how many times as fast this one is. */
  readonly over?: string | undefined;
  run(): void;
}

/** d_inner of mamba-130m. */
const DIM = 1536;
/** Channels of a head of attention, and of Mamba-2's scan. */
const HEAD_DIM = 64;

/** @param quick Small shapes, as a check of the program. */
export async function kernelCases(one: Backend, two: Backend, quick: boolean): Promise<KernelCase[]> {
  return [
    ...scans(one, quick),
    ...products(one, quick),
    ...backwards(one, quick),
    await training(one, quick),
    ...mixing(one, quick),
    ...matrixVector(one, two, quick),
    ...elementwise(one, quick),
    ...others(one, two, quick),
  ];
}

function scans(one: Backend, quick: boolean): KernelCase[] {
  const shapes = [
    { state: 16, dim: DIM, length: 1, calls: 50 },
    { state: 16, dim: DIM, length: 16, calls: 5 },
    { state: 16, dim: DIM, length: 512 },
    { state: 16, dim: 384, length: 4096 },
    { state: 16, dim: 64, length: 16384 },
    { state: 16, dim: 64, length: 131072 },
    { state: 8, dim: DIM, length: 256 },
    { state: 64, dim: DIM, length: 64 },
  ];
  return (quick ? [{ state: 16, dim: 64, length: 64 }] : shapes).map(({ calls, ...shape }: ScanShape) => ({
    name: `scan, ${shape.state} states, dim ${shape.dim}, length ${shape.length}`,
    unit: 'ns a state step',
    work: shape.length * shape.dim * shape.state,
    calls,
    run: scan(one, shape),
  }));
}

/** Matrix products of a prefill: in_proj, out_proj, x_proj, dt_proj, and in_proj of a short prompt. */
function products(one: Backend, quick: boolean): KernelCase[] {
  const shapes: [rows: number, inputs: number, outputs: number][] = quick
    ? [[16, 64, 96]]
    : [
        [512, 768, 3072],
        [512, DIM, 768],
        [512, DIM, 80],
        [512, 48, DIM],
        [16, 768, 3072],
      ];
  const product = (name: string, [rows, inputs, outputs]: (typeof shapes)[number], dtype: DType): KernelCase => {
    const work = 2 * rows * inputs * outputs;
    const run = linear(one, { rows, inputs, outputs, dtype });
    const calls = dtype === 'float32' && work < 5e8 ? 4 : 1;
    return { name, unit: 'GFLOP/s', work, calls, run, limit: LIMITS.operations };
  };
  return [
    ...shapes.map((shape) => product(`linear ${shape.join(' × ')}`, shape, 'float32')),
    ...(['float16', 'q8'] as const).map((dtype) => product(`the first in ${dtype}`, shapes[0]!, dtype)),
  ];
}

/** The backward of scans and of products, in the units of their forward, so that the ratio can be read off. */
function backwards(one: Backend, quick: boolean): KernelCase[] {
  const scans = quick
    ? [{ state: 16, dim: 64, length: 64 }]
    : [
        { state: 16, dim: DIM, length: 512 },
        { state: 16, dim: 384, length: 4096 },
      ];
  const products = quick ? [[16, 64, 96] as const] : [[512, 768, 3072] as const, [512, DIM, 768] as const];
  return [
    ...[false, true].flatMap((keepStates) =>
      scans.map(
        (shape): KernelCase => ({
          name:
            `scan backward${keepStates ? ' from kept states' : ''}, ` +
            `${shape.state} states, dim ${shape.dim}, length ${shape.length}`,
          unit: 'ns a state step',
          work: shape.length * shape.dim * shape.state,
          run: scanBackward(one, shape, keepStates),
        }),
      ),
    ),
    ...products.map(
      ([rows, inputs, outputs]): KernelCase => ({
        name: `linear backward ${rows} × ${inputs} × ${outputs}`,
        unit: 'GFLOP/s',
        work: 4 * rows * inputs * outputs,
        run: linearBackward(one, { rows, inputs, outputs }),
        limit: LIMITS.operations,
      }),
    ),
  ];
}

/** A whole step of training: forward, backward, clipping and AdamW. */
async function training(one: Backend, quick: boolean): Promise<KernelCase> {
  const [subject, shape] = quick
    ? ([HEADS, { batch: 1, length: 16 }] as const)
    : ([LANGUAGE, { batch: 1, length: 256 }] as const);
  const { config } = subject;
  const model = await TrainableModel.create(one, config, initialParameters(config, { seed: 1 }));
  const optimiser = new Optimiser(one, model.parameters);
  const batch = await subject.draw(shape);
  return {
    name: `training step, ${parameterCount(config)} parameters, ${shape.batch} × ${shape.length}`,
    unit: 'GFLOP/s',
    work: stepWork(config, shape, 4).operations,
    run: () => step(model, optimiser, batch),
    limit: LIMITS.operations,
  };
}

/** Attention and Mamba-2's scan, forward and backward, whose work is that of matrix products. */
function mixing(one: Backend, quick: boolean): KernelCase[] {
  const [length, heads] = quick ? [64, 2] : [1024, 12];
  const attended = `attention of ${heads} heads, length ${length}`;
  const products = 2 * length * (length + 1) * heads * HEAD_DIM;
  const attention = attentionCalls(one, length, heads);
  const ssd = ssdCalls(one, { batch: 1, length, heads, headDim: HEAD_DIM, state: 128 });
  const scanned = `ssd scan of ${heads} heads, length ${length}`;
  const limit = LIMITS.operations;
  return [
    { name: attended, unit: 'GFLOP/s', work: products, run: attention.forward, limit },
    // Seven products of its size in place of two.
    { name: `${attended}, backward`, unit: 'GFLOP/s', work: 3.5 * products, run: attention.backward, limit },
    { name: scanned, unit: 'ns a state step', work: ssd.steps, run: ssd.forward },
    { name: `${scanned}, backward`, unit: 'ns a state step', work: ssd.steps, run: ssd.backward },
  ];
}

/** Products of one row, whose speed is that of reading 64 MiB or more of weights. */
function matrixVector(one: Backend, two: Backend, quick: boolean): KernelCase[] {
  const dtypes = ['float32', 'float16', 'bfloat16', 'q8', 'q4'] as const;
  return dtypes.flatMap((dtype): KernelCase[] => {
    const inputs = quick ? 64 : 1024;
    const weights = (quick ? 2 ** 14 : 2 ** 26) / (dtype === 'float32' ? 4 : 2);
    const size = quick ? `${weights / 2 ** 10} k` : `${weights / 2 ** 20} M`;
    const work = weights * BYTES_PER_WEIGHT[dtype];
    const product = (backend: Backend, rows: number) =>
      linear(backend, { rows, inputs, outputs: weights / inputs, dtype });
    return [
      ...(dtype === 'float32' ? [1, 4] : [1]).map((rows) => ({
        name: `${rows} row${rows === 1 ? '' : 's'} × ${size} weights in ${dtype}`,
        unit: 'GB/s',
        work,
        run: product(one, rows),
        limit: LIMITS.bandwidth,
      })),
      {
        name: `${dtype}, 1 row, 2 threads`,
        unit: 'GB/s',
        work,
        run: product(two, 1),
        threads: 2,
        limit: LIMITS.bandwidthOfTwo,
      },
    ];
  });
}

/** Norms and products of elements, of a prefill's rows. */
function elementwise(one: Backend, quick: boolean): KernelCase[] {
  const shape = quick ? ([8, 64] as const) : ([512, 768] as const);
  const operands = {
    a: one.upload(values(shape)),
    b: one.upload(values(shape)),
    weight: one.upload(values([shape[1]])),
  };
  return smallOperations(one, operands).map(({ name, call }) => ({
    name: `${name} ${shape.join(' × ')}`,
    unit: 'ns an element',
    work: sizeOf(shape),
    calls: 4,
    run: () => call().dispose(),
  }));
}

/** The convolution, and what two threads gain over one by the clock. */
function others(one: Backend, two: Backend, quick: boolean): KernelCase[] {
  const [length, dim] = quick ? [32, 64] : [512, DIM];
  const [inputs, outputs] = quick ? [64, 96] : [768, 3072];
  const shape = { state: 16, dim, length };
  const conv = (backend: Backend) => convolution(backend, { length, dim });
  const kernels: [name: string, make: (backend: Backend) => () => void][] = [
    [
      `linear ${length} × ${inputs} × ${outputs}`,
      (backend) => linear(backend, { rows: length, inputs, outputs, dtype: 'float32' }),
    ],
    [`scan 16 × ${dim} × ${length}`, (backend) => scan(backend, shape)],
    ['conv', conv],
    [
      `linear backward ${length} × ${inputs} × ${outputs}`,
      (backend) => linearBackward(backend, { rows: length, inputs, outputs }),
    ],
    [`scan backward 16 × ${dim} × ${length}`, (backend) => scanBackward(backend, shape, true)],
  ];
  return [
    { name: `conv + SiLU ${length} × ${dim}`, unit: 'ns an element', work: length * dim, run: conv(one) },
    ...kernels.flatMap(([name, make]): KernelCase[] => {
      const single = `${name}, by the clock`;
      return [
        { name: single, unit: 'ns', work: 1, run: make(one), threads: 2 },
        { name: `${name}, 2 threads over 1`, unit: '×', work: 1, run: make(two), threads: 2, over: single },
      ];
    }),
  ];
}

interface ScanShape {
  readonly state: number;
  readonly dim: number;
  readonly length: number;
  readonly calls?: number;
}

export function scan(backend: Backend, shape: ScanShape, gated = true): () => void {
  const inputs = scanInputs(backend, shape, gated);
  return () => {
    const { y, lastState } = backend.selectiveScan(...inputs);
    y.dispose();
    lastState.dispose();
  };
}

function scanBackward(backend: Backend, shape: ScanShape, keepStates: boolean): () => void {
  const inputs = scanInputs(backend, shape, true);
  const [u, delta, A, B, C, options] = inputs;
  const { states, ...forward } = backend.selectiveScan(u, delta, A, B, C, { ...options, keepStates });
  for (const result of Object.values(forward)) result.dispose();
  const y = backend.upload(values(u.shape));
  return () => {
    const gradients = backend.selectiveScanBackward(u, delta, A, B, C, options, { y }, states);
    for (const gradient of Object.values(gradients)) gradient.dispose();
  };
}

function scanInputs(backend: Backend, { state, dim, length }: ScanShape, gated: boolean) {
  const upload = (shape: readonly number[], low?: number, high?: number) => backend.upload(values(shape, low, high));
  const [u, delta] = [upload([1, length, dim]), upload([1, length, dim], -4, 0)];
  const A = upload([dim, state], -16, -1);
  const [B, C] = [upload([1, length, state]), upload([1, length, state])];
  const gate = gated ? { D: upload([dim]), z: upload([1, length, dim]), deltaBias: upload([dim]) } : {};
  return [u, delta, A, B, C, { ...gate, deltaSoftplus: true }] as const;
}

function linear(
  backend: Backend,
  { rows, inputs, outputs, dtype }: { rows: number; inputs: number; outputs: number; dtype: DType },
): () => void {
  const x = backend.upload(values([rows, inputs]));
  const weight = backend.upload(values([outputs, inputs]), { dtype, role: 'matrix' });
  return () => backend.linear(x, weight).dispose();
}

/** Both gradients of a product with a row-major matrix, as an optimiser has it. */
function linearBackward(
  backend: Backend,
  { rows, inputs, outputs }: { rows: number; inputs: number; outputs: number },
): () => void {
  const [x, weight] = [backend.upload(values([rows, inputs])), backend.upload(values([outputs, inputs]))];
  const dy = backend.upload(values([rows, outputs]));
  return () => {
    const gradients = backend.linearBackward(x, weight, undefined, dy);
    for (const gradient of Object.values(gradients)) gradient?.dispose();
  };
}

function attentionCalls(backend: Backend, length: number, heads: number) {
  const sequence = () => backend.upload(values([1, length, heads * HEAD_DIM]));
  const [q, k, v, dy] = [sequence(), sequence(), sequence(), sequence()];
  const options = { headDim: HEAD_DIM };
  const kept = backend.attention(q, k, v, options);
  return {
    forward: () => disposeAll(Object.values(backend.attention(q, k, v, options))),
    backward: () => disposeAll(Object.values(backend.attentionBackward(q, k, v, options, kept, { y: dy }))),
  };
}

function ssdCalls(backend: Backend, shape: SsdShape) {
  const { batch, length, heads, headDim, state } = shape;
  const upload = (sizes: readonly number[], low?: number, high?: number) => backend.upload(values(sizes, low, high));
  const [x, dy] = [upload([batch, length, heads, headDim]), upload([batch, length, heads, headDim])];
  const [B, C] = [upload([batch, length, 1, state]), upload([batch, length, 1, state])];
  const [dt, A, D] = [upload([batch, length, heads], -4, 0), upload([heads], -16, -1), upload([heads])];
  const options = { D, dtBias: D, dtSoftplus: true };
  return {
    steps: batch * length * heads * headDim * state,
    forward: () => disposeAll(Object.values(backend.ssdScan(x, dt, A, B, C, options))),
    backward: () => disposeAll(Object.values(backend.ssdScanBackward(x, dt, A, B, C, options, { y: dy }))),
  };
}

function convolution(backend: Backend, { length, dim }: { length: number; dim: number }): () => void {
  const x = backend.upload(values([1, length, dim]));
  const [weight, bias] = [backend.upload(values([dim, 4])), backend.upload(values([dim]))];
  return () => {
    const { y, lastState } = backend.causalConv1d(x, weight, bias, { activation: 'silu' });
    y.dispose();
    lastState.dispose();
  };
}

/** Some thousand values, repeated: a kernel's time does not depend on them. */
function values(shape: readonly number[], low = -1, high = 1): HostTensor {
  const size = sizeOf(shape);
  const period = Float32Array.from(
    { length: Math.min(size, 4099) },
    (_, index) => low + (high - low) * ((index * 0.618033988) % 1),
  );
  const data = new Float32Array(size);
  for (let at = 0; at < size; at += period.length) data.set(period.subarray(0, size - at), at);
  return { dtype: 'float32', shape, data };
}
