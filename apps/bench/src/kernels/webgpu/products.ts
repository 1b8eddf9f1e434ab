/**
 * Matrix products and the convolution on webgpu: few rows by bandwidth, many by operations, in every storage and
 * precision.
 */
import type { Backend } from '@mamba/core';
import { type MatrixPrecision, webgpu } from '@mamba/webgpu';
import type { Heat } from './heater.ts';
import { random, repeatedMatrix, tensor } from './operands.ts';
import { type ForcedTiles, type ProductExtents, type Session, withDevice } from './session.ts';
import { deviceTime, deviceTimes } from './timing.ts';

const FEW_ROWS: readonly ProductExtents[] = [
  [1, 768, 3072],
  [1, 1536, 80],
  [1, 1536, 768],
  [1, 768, 50280],
  [1, 2560, 10240],
  [1, 5120, 2560],
  [1, 2560, 50280],
];

const MANY_ROWS: readonly ProductExtents[] = [
  [512, 768, 3072],
  [4096, 768, 3072],
  [16384, 768, 3072],
  [16384, 1536, 80],
  [16384, 1536, 768],
  [4096, 4096, 4096],
];

/** Most rows of a step, which reads each of its weights once from memory. */
const BATCH = 256;

/** Bytes of a weight, with its part of the scale of a block. */
const BYTES = { float32: 4, float16: 2, bfloat16: 2, q8: 34 / 32, q4: 18 / 32 } as const;

/** Products by the backend's own rule, and those of many rows in forced tiles as well. */
export function linear(session: Session): Promise<void> {
  const { precisions, tiles } = session;
  return withDevice(session, async (device, heat) => {
    for (const matrixPrecision of precisions) {
      for (const forced of [undefined, ...tiles]) {
        const testing = { productVariant: forced?.variant };
        const backend = await webgpu({ device, profile: true, matrixPrecision, testing }).create();
        const exact = matrixPrecision === 'float32';
        if (exact || backend.details.matrixUnits !== 'not used') {
          for (const dtype of dtypesOf(session, exact)) {
            for (const product of productsOf(session, exact && forced === undefined))
              await measure(session, { backend, heat, matrixPrecision, forced, dtype, product });
          }
        }
        await backend.dispose();
      }
    }
  });
}

const QUICK: readonly ProductExtents[] = [
  [1, 64, 128],
  [40, 64, 96],
];

function dtypesOf({ dtypes }: Session, exact: boolean): readonly (keyof typeof BYTES)[] {
  if (dtypes.length > 0) return dtypes.filter((dtype) => dtype in BYTES) as (keyof typeof BYTES)[];
  return exact ? ['float32', 'float16', 'q8', 'q4'] : ['float32', 'float16'];
}

function productsOf({ products, quick }: Session, few: boolean): readonly ProductExtents[] {
  const own = quick ? QUICK : [...FEW_ROWS, ...MANY_ROWS];
  return (products.length > 0 ? products : own).filter(([rows]) => few || rows > 1);
}

/** Products of a training step of mamba-130m, 8 × 2048 tokens, and one that is square. */
const TRAINED: readonly ProductExtents[] = [
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
  readonly forced: ForcedTiles | undefined;
  readonly dtype: keyof typeof BYTES;
  readonly product: ProductExtents;
}

async function measure(
  { quick, report, tiles }: Session,
  { backend, heat, matrixPrecision, forced, dtype, product: [rows, inputs, outputs] }: ProductRun,
): Promise<void> {
  const x = tensor(backend, [rows, inputs]);
  const host = repeatedMatrix(
    dtype === 'float16' ? 'float16' : 'float32',
    [outputs, inputs],
    random(Math.min(outputs, 96) * inputs),
  );
  // Several copies of a small matrix, so that few rows do not find it in a cache, as those of a step do not.
  const bytes = inputs * outputs * BYTES[dtype];
  const few = rows <= BATCH;
  const copies = few ? Math.max(1, Math.min(12, Math.ceil(1e8 / bytes))) : 1;
  const weights = Array.from({ length: copies }, () => {
    heat?.(30);
    return backend.upload(host, { dtype, role: 'matrix' });
  });
  heat?.(300);
  const call = (): void => {
    for (const weight of weights) backend.linear(x, weight).dispose();
  };
  const times = await deviceTimes(backend, call, { quick, heat });
  const microseconds = times.microseconds / copies;
  const kernels = Object.entries(times.kernels).map(([stem, time]) => [stem, time / copies]);
  report({
    name: `linear ${dtype}`,
    microseconds,
    rows,
    inputs,
    outputs,
    ...(tiles.length > 0 ? { tiles: forced?.text ?? 'rule' } : {}),
    ...(few ? { 'GB/s': bytes / microseconds / 1000 } : {}),
    ...(rows > 1 ? { matrixPrecision, 'TFLOP/s': (2 * rows * inputs * outputs) / microseconds / 1e6 } : {}),
    ...(kernels.length > 1 ? Object.fromEntries(kernels) : {}),
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
