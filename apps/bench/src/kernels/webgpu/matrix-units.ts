/**
 * Checks the results of matrix units, on hardware that has them: products over many shapes against float64 sums, then
 * the checks of the conformance suite that multiply matrices. Each is held to the bounds of
 * docs/adr/0012-matrix-units.md.
 */
import { runConformance, type TensorReport } from '@mamba/conformance';
import type { Backend } from '@mamba/core';
import { type MatrixPrecision, webgpu } from '@mamba/webgpu';
import type { Session } from './session.ts';

/**
 * Bounds of the largest error, relative to a tensor's largest expected value: of one product, and of the suite's checks
 * (blocks, models).
 */
const BOUNDS: Readonly<Record<Exclude<MatrixPrecision, 'float32'>, { product: number; suite: number }>> = {
  float16x2: { product: 2e-5, suite: 2e-4 },
  float16: { product: 4e-3, suite: 2e-2 },
};

/** The checks that multiply matrices; on matrix units all others compute as without them. */
const MULTIPLYING = /^(linear|block|model|weights|checkpoint)\//;

/** Fails where a bound is exceeded, or where the device has no matrix units that the kernel takes. */
export async function matrixUnits({ toggles, precisions, report, fail }: Session): Promise<void> {
  for (const matrixPrecision of precisions) {
    if (matrixPrecision === 'float32') continue;
    const bound = BOUNDS[matrixPrecision];
    const backend = await webgpu({ matrixPrecision, toggles }).create();
    try {
      if (backend.details.matrixUnits === 'not used')
        throw new Error('this device has no matrix units that the kernel takes; nothing was checked');
      const products = await checkProducts(backend);
      const worst = products.reduce((a, b) => (a.error > b.error ? a : b));
      report({
        name: `${matrixPrecision}: ${products.length} products`,
        worst: worst.error.toExponential(2),
        of: worst.name,
      });
      if (worst.error > bound.product) fail(`matrix-units ${matrixPrecision}`, new Error(`${worst.name} is off`));
      await checkSuite(backend, matrixPrecision, bound.suite, { report, fail });
    } finally {
      await backend.dispose();
    }
  }
}

async function checkSuite(
  backend: Backend,
  matrixPrecision: MatrixPrecision,
  bound: number,
  { report, fail }: Pick<Session, 'report' | 'fail'>,
): Promise<void> {
  const { results, passed, skipped } = await runConformance(backend, { filter: (id) => MULTIPLYING.test(id) });
  const failed = results.filter(({ pass }) => !pass);
  const within = ({ relativeError }: TensorReport): boolean => relativeError <= bound;
  const rounded = failed.filter(within);
  const largest = rounded.reduce((most, { relativeError }) => Math.max(most, relativeError), 0);
  report({
    name: `${matrixPrecision}: suite`,
    "within float32's bounds": passed,
    'beyond them by rounding': rounded.length,
    'at most': largest.toExponential(2),
    skipped,
  });
  for (const result of failed.filter((one) => !within(one))) {
    const { case: id, tensor, relativeError, message = '' } = result;
    fail(
      `matrix-units ${matrixPrecision}`,
      new Error(`${id} ${tensor} exceeds its bound: ${relativeError.toExponential(2)} ${message}`.trim()),
    );
  }
}

const DTYPES = ['float32', 'float16', 'bfloat16', 'q8'] as const;

/** Shapes that reach both tiles of the kernel, with and without edges, and inputs whole and cut. */
const SHAPES: readonly (readonly [rows: number, inputs: number, outputs: number])[] = [
  [9, 20, 70],
  [67, 134, 130],
  [64, 64, 64],
  [300, 768, 80],
  [1157, 48, 1830],
  [1157, 134, 1830],
  [2048, 768, 1536],
];

async function checkProducts(backend: Backend): Promise<{ name: string; error: number }[]> {
  const found: { name: string; error: number }[] = [];
  for (const dtype of DTYPES) {
    for (const [rows, inputs, outputs] of SHAPES) {
      const host = Float32Array.from({ length: rows * inputs }, (_, i) => Math.sin(0.7 * i));
      const values = Float32Array.from({ length: outputs * inputs }, (_, i) => Math.sin(0.9 * i));
      const x = backend.upload({ dtype: 'float32', shape: [rows, inputs], data: host });
      const weight = backend.upload(
        { dtype: 'float32', shape: [outputs, inputs], data: values },
        { dtype, role: 'matrix' },
      );
      const bias = backend.upload({ dtype: 'float32', shape: [outputs], data: values.slice(0, outputs) });
      const result = backend.linear(x, weight, bias);
      const [stored, y] = [await backend.read(weight), await backend.read(result)];
      let [error, scale] = [0, 0];
      for (let i = 0; i < y.length; i += 1 + (i % 211)) {
        const [row, output] = [Math.floor(i / outputs), i % outputs];
        let sum = values[output]!;
        for (let k = 0; k < inputs; k++) sum += host[row * inputs + k]! * stored[output * inputs + k]!;
        error = Math.max(error, Math.abs(y[i]! - sum));
        scale = Math.max(scale, Math.abs(sum));
      }
      found.push({ name: `${dtype} ${rows} × ${inputs} × ${outputs}`, error: error / scale });
      for (const tensor of [x, weight, bias, result]) tensor.dispose();
    }
  }
  return found;
}
