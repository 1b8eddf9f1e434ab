/**
 * Matrix products and the convolution on webgpu: few rows by bandwidth, many by operations, in every storage and
 * precision.
 */
import type { Backend } from '@mamba/core';
import { type MatrixPrecision, webgpu } from '@mamba/webgpu';
import type { Heat } from './heater.ts';
import { random, repeatedMatrix, tensor } from './operands.ts';
import { type Session, withDevice } from './session.ts';
import { deviceTime } from './timing.ts';

type Product = readonly [rows: number, inputs: number, outputs: number];

const FEW_ROWS: readonly Product[] = [
  [1, 768, 3072],
  [1, 1536, 80],
  [1, 1536, 768],
  [1, 768, 50280],
  [1, 2560, 10240],
  [1, 5120, 2560],
  [1, 2560, 50280],
];

const MANY_ROWS: readonly Product[] = [
  [512, 768, 3072],
  [4096, 768, 3072],
  [16384, 768, 3072],
  [16384, 1536, 80],
  [16384, 1536, 768],
  [4096, 4096, 4096],
];

/** Bytes of a weight, with its part of the scale of a block. */
const BYTES = { float32: 4, float16: 2, q8: 34 / 32, q4: 18 / 32 } as const;

export function linear(session: Session): Promise<void> {
  const { quick, precisions } = session;
  const few = quick ? ([[1, 64, 128]] as const) : FEW_ROWS;
  const many = quick ? ([[40, 64, 96]] as const) : MANY_ROWS;
  return withDevice(session, async (device, heat) => {
    for (const matrixPrecision of precisions) {
      const backend = await webgpu({ device, profile: true, matrixPrecision }).create();
      const exact = matrixPrecision === 'float32';
      if (exact || backend.details.matrixUnits !== 'not used') {
        for (const dtype of exact ? (['float32', 'float16', 'q8', 'q4'] as const) : (['float32', 'float16'] as const)) {
          for (const product of exact ? [...few, ...many] : many)
            await measure(session, { backend, heat, matrixPrecision, dtype, product });
        }
      }
      await backend.dispose();
    }
  });
}

/** Products of a training step of mamba-130m, 8 × 2048 tokens, and one that is square. */
const TRAINED: readonly Product[] = [
  [16384, 768, 3072],
  [16384, 1536, 80],
  [16384, 48, 1536],
  [16384, 1536, 768],
  [4096, 4096, 4096],
];

/** The gradients of products, each by itself, in every precision that the device has. */
export function linearBackward(session: Session): Promise<void> {
  const { quick, precisions, report } = session;
  return withDevice(session, async (device, heat) => {
    for (const matrixPrecision of precisions) {
      const backend = await webgpu({ device, profile: true, matrixPrecision }).create();
      if (matrixPrecision === 'float32' || backend.details.matrixUnits !== 'not used') {
        for (const [rows, inputs, outputs] of quick ? ([[40, 64, 96]] as const) : TRAINED) {
          const [x, dy] = [tensor(backend, [rows, inputs]), tensor(backend, [rows, outputs])];
          const weight = tensor(backend, [outputs, inputs]);
          heat?.(300);
          for (const name of ['x', 'weight'] as const) {
            const call = (): void =>
              backend.linearBackward(x, weight, undefined, dy, { wanted: [name] })[name]!.dispose();
            const microseconds = await deviceTime(backend, call, { quick, heat });
            const figures = { matrixPrecision, 'TFLOP/s': (2 * rows * inputs * outputs) / microseconds / 1e6 };
            report({ name: `linear backward, ${name}`, microseconds, rows, inputs, outputs, ...figures });
          }
          for (const item of [x, dy, weight]) item.dispose();
        }
      }
      await backend.dispose();
    }
  });
}

interface ProductRun {
  readonly backend: Backend;
  readonly heat: Heat | undefined;
  readonly matrixPrecision: MatrixPrecision;
  readonly dtype: keyof typeof BYTES;
  readonly product: Product;
}

async function measure(
  { quick, report }: Session,
  { backend, heat, matrixPrecision, dtype, product: [rows, inputs, outputs] }: ProductRun,
): Promise<void> {
  const x = tensor(backend, [rows, inputs]);
  const host = repeatedMatrix(
    dtype === 'float16' ? 'float16' : 'float32',
    [outputs, inputs],
    random(Math.min(outputs, 96) * inputs),
  );
  // Several copies of a small matrix, so that it does not come from a cache.
  const bytes = inputs * outputs * BYTES[dtype];
  const copies = rows === 1 ? Math.max(1, Math.min(12, Math.ceil(1e8 / bytes))) : 1;
  const weights = Array.from({ length: copies }, () => {
    heat?.(30);
    return backend.upload(host, { dtype, role: 'matrix' });
  });
  heat?.(300);
  const call = (): void => {
    for (const weight of weights) backend.linear(x, weight).dispose();
  };
  const microseconds = (await deviceTime(backend, call, { quick, heat })) / copies;
  report({
    name: `linear ${dtype}`,
    microseconds,
    rows,
    inputs,
    outputs,
    ...(rows === 1
      ? { 'GB/s': bytes / microseconds / 1000 }
      : { matrixPrecision, 'TFLOP/s': (2 * rows * inputs * outputs) / microseconds / 1e6 }),
  });
  for (const item of [x, ...weights]) item.dispose();
}

const CONVOLUTIONS = [
  [1, 512, 1536],
  [1, 8192, 1536],
  [8, 2048, 2048],
] as const;

export async function conv({ toggles, quick, report }: Session): Promise<void> {
  const backend = await webgpu({ toggles, profile: true }).create();
  for (const [batch, length, dim] of quick ? ([[1, 64, 64]] as const) : CONVOLUTIONS) {
    const x = tensor(backend, [batch, length, dim]);
    const weight = tensor(backend, [dim, 4]);
    const call = (): void => {
      const { y, lastState } = backend.causalConv1d(x, weight, undefined, { activation: 'silu' });
      y.dispose();
      lastState.dispose();
    };
    const microseconds = await deviceTime(backend, call, { quick });
    const bytes = 8 * batch * length * dim;
    report({ name: 'conv', microseconds, batch, length, dim, 'GB/s': bytes / microseconds / 1000 });
    for (const item of [x, weight]) item.dispose();
  }
  await backend.dispose();
}
