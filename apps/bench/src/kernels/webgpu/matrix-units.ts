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
 * Bounds of the largest error: of one product, relative to the largest sum or, where its terms cancel, to the root of
 * the sum of their squares; of the suite's checks (blocks, models) and of the gradients of whole models, relative to a
 * tensor's largest expected value.
 */
const BOUNDS: Readonly<Record<Exclude<MatrixPrecision, 'float32'>, Bounds>> = {
  float16x2: { product: 2e-5, suite: 2e-4, gradients: 2e-4 },
  float16: { product: 4e-3, suite: 2e-2, gradients: 3e-2 },
};

interface Bounds {
  readonly product: number;
  readonly suite: number;
  readonly gradients: number;
}

/** The checks that multiply matrices; on matrix units all others compute as without them. */
const MULTIPLYING = /^(linear|linear-backward|block|model|weights|checkpoint)\//;
/** Models with weights of 1e-25 and of 1e20, which halves cannot hold. */
const BEYOND_HALVES = /^model\/of-/;

/** Fails where a bound is exceeded, or where the device has no matrix units that the kernel takes. */
export async function matrixUnits({ toggles, precisions, report, fail }: Session): Promise<void> {
  for (const matrixPrecision of precisions) {
    if (matrixPrecision === 'float32') continue;
    const bound = BOUNDS[matrixPrecision];
    const backend = await webgpu({ matrixPrecision, toggles }).create();
    try {
      if (backend.details.matrixUnits === 'not used')
        throw new Error('this device has no matrix units that the kernel takes; nothing was checked');
      const products = [...(await checkProducts(backend)), ...(await checkGradients(backend))];
      const worst = products.reduce((a, b) => (a.error > b.error ? a : b));
      report({
        name: `${matrixPrecision}: ${products.length} products`,
        worst: worst.error.toExponential(2),
        of: worst.name,
      });
      if (worst.error > bound.product) fail(`matrix-units ${matrixPrecision}`, new Error(`${worst.name} is off`));
      await checkSuite(backend, matrixPrecision, bound, { report, fail });
    } finally {
      await backend.dispose();
    }
  }
}

async function checkSuite(
  backend: Backend,
  matrixPrecision: MatrixPrecision,
  bound: Bounds,
  { report, fail }: Pick<Session, 'report' | 'fail'>,
): Promise<void> {
  const { results, passed, skipped } = await runConformance(backend, {
    filter: (id) => MULTIPLYING.test(id) && !BEYOND_HALVES.test(id),
  });
  const failed = results.filter(({ pass }) => !pass);
  const within = ({ tensor, relativeError }: TensorReport): boolean =>
    relativeError <= (tensor.startsWith('grad.') ? bound.gradients : bound.suite);
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
      const host = waves(rows * inputs, 0.7);
      const values = waves(outputs * inputs, 0.9);
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
        const product = sumOver(inputs, (k) => host[row * inputs + k]! * stored[output * inputs + k]!);
        error = Math.max(error, Math.abs(y[i]! - (values[output]! + product.sum)));
        scale = Math.max(scale, product.scale);
      }
      found.push({ name: `${dtype} ${rows} × ${inputs} × ${outputs}`, error: error / scale });
      for (const tensor of [x, weight, bias, result]) tensor.dispose();
    }
  }
  return found;
}

/** Gradients of products, whose cotangents are far below what halves can hold. */
async function checkGradients(backend: Backend): Promise<{ name: string; error: number }[]> {
  const found: { name: string; error: number }[] = [];
  for (const [rows, inputs, outputs] of SHAPES) {
    const [x, weight, dy] = [waves(rows * inputs, 0.7), waves(outputs * inputs, 0.9), waves(rows * outputs, 0.8, 1e-9)];
    const upload = (shape: readonly number[], data: Float32Array<ArrayBuffer>) =>
      backend.upload({ dtype: 'float32', shape, data });
    const tensors = [
      upload([rows, inputs], x),
      upload([outputs, inputs], weight),
      upload([rows, outputs], dy),
    ] as const;
    const gradients = backend.linearBackward(tensors[0], tensors[1], undefined, tensors[2]);
    const [dx, dweight] = [gradients.x!, gradients.weight!];
    const expected = {
      // dx[r, i] and dweight[o, i]
      x: (row: number, i: number) => sumOver(outputs, (o) => dy[row * outputs + o]! * weight[o * inputs + i]!),
      weight: (output: number, i: number) => sumOver(rows, (r) => dy[r * outputs + output]! * x[r * inputs + i]!),
    };
    for (const [name, tensor] of [
      ['x', dx],
      ['weight', dweight],
    ] as const) {
      const values = await backend.read(tensor);
      let [error, scale] = [0, 0];
      for (let at = 0; at < values.length; at += 1 + (at % 211)) {
        const { sum, scale: size } = expected[name](Math.floor(at / inputs), at % inputs);
        error = Math.max(error, Math.abs(values[at]! - sum));
        scale = Math.max(scale, size);
      }
      found.push({ name: `gradient of ${name}, ${rows} × ${inputs} × ${outputs}`, error: error / scale });
    }
    for (const tensor of [...tensors, dx, dweight]) tensor.dispose();
  }
  return found;
}

function waves(size: number, frequency: number, scale = 1): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: size }, (_, i) => scale * Math.sin(frequency * i));
}

/** A sum, and the size that its rounding error is relative to: terms of one size may cancel to nearly nothing. */
function sumOver(count: number, term: (k: number) => number): { sum: number; scale: number } {
  let [sum, squares] = [0, 0];
  for (let k = 0; k < count; k++) {
    const value = term(k);
    sum += value;
    squares += value * value;
  }
  return { sum, scale: Math.max(Math.abs(sum), Math.sqrt(squares)) };
}
