// What matrix units do to results, on hardware that has them: products over many shapes against float64 sums, then what multiplies in
// the conformance suite, each held to the bound stated in docs/adr/0012-matrix-units.md. Exits with 1 where one is exceeded, and with 2 without such units.
//
//   node packages/webgpu/bench/matrices.mjs [--json FILE] [float16x2] [float16]
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { runConformance } from '@mamba/conformance';
import { webgpu } from '@mamba/webgpu';

const { values: flags, positionals } = parseArgs({ options: { json: { type: 'string' } }, allowPositionals: true });
const toggles = { enable: ['allow_unsafe_apis', 'vulkan_enable_f16_on_nvidia'], disable: [] };

/** Largest error, relative to the largest expected value of a tensor: of one product, and of what the suite checks (blocks, models). */
const BOUNDS = {
  float16x2: { product: 2e-5, suite: 2e-4 },
  float16: { product: 4e-3, suite: 2e-2 },
};

/** Checks that multiply matrices; the others are those of the plain backend. */
const MULTIPLYING = /^(linear|block|model|weights|checkpoint)\//;

const report = { kind: 'mamba-matrices', date: new Date().toISOString(), precisions: [] };
for (const [matrixPrecision, bound] of Object.entries(BOUNDS)) {
  if (positionals.length > 0 && !positionals.includes(matrixPrecision)) continue;
  const backend = await webgpu({ matrixPrecision, toggles }).create();
  if (backend.details.matrixUnits === 'not used') {
    console.error('This device has no matrix units that the kernel takes; nothing was checked.');
    process.exit(2);
  }
  const products = await checkProducts(backend);
  const worst = products.reduce((a, b) => (a.error > b.error ? a : b));
  console.log(`${matrixPrecision}: ${products.length} products, worst ${worst.error.toExponential(2)} (${worst.name})`);
  const { results, passed, failed, skipped } = await runConformance(backend, { filter: (id) => MULTIPLYING.test(id) });
  const exceeded = results.filter(({ pass, relativeError }) => !pass && !(relativeError <= bound.suite));
  const rounded = results.filter(({ pass, relativeError }) => !pass && relativeError <= bound.suite);
  const { details } = backend;
  report.precisions.push({
    matrixPrecision,
    bound,
    details: { ...details },
    worst,
    passed,
    failed,
    skipped,
    rounded,
    exceeded,
  });
  const largest = rounded.reduce((most, { relativeError }) => Math.max(most, relativeError), 0);
  console.log(
    `  suite: ${passed} comparisons within float32's bounds, ${rounded.length} beyond them by rounding (at most ${largest.toExponential(2)})`,
  );
  for (const { case: id, tensor, relativeError, message } of exceeded.slice(0, 12))
    console.log(`  exceeded: ${id} ${tensor} ${relativeError.toExponential(2)} ${message ?? ''}`);
  if (exceeded.length > 0 || worst.error > bound.product) process.exitCode = 1;
  await backend.dispose();
}
if (flags.json !== undefined) writeFileSync(flags.json, `${JSON.stringify(report, null, 1)}\n`);

/** Both tiles with and without edges, whole and cut inputs, every format. */
async function checkProducts(backend) {
  const found = [];
  for (const dtype of ['float32', 'float16', 'bfloat16', 'q8']) {
    for (const [rows, inputs, outputs] of [
      [9, 20, 70],
      [67, 134, 130],
      [64, 64, 64],
      [300, 768, 80],
      [1157, 48, 1830],
      [1157, 134, 1830],
      [2048, 768, 1536],
    ]) {
      const host = Float32Array.from({ length: rows * inputs }, (_, i) => Math.sin(0.7 * i));
      const x = backend.upload({ dtype: 'float32', shape: [rows, inputs], data: host });
      const values = Float32Array.from({ length: outputs * inputs }, (_, i) => Math.sin(0.9 * i));
      const weight = backend.upload(
        { dtype: 'float32', shape: [outputs, inputs], data: values },
        { dtype, role: 'matrix' },
      );
      const bias = backend.upload({ dtype: 'float32', shape: [outputs], data: values.slice(0, outputs) });
      const result = backend.linear(x, weight, bias);
      const [stored, y] = [await backend.read(weight), await backend.read(result)];
      let error = 0;
      let scale = 0;
      for (let i = 0; i < y.length; i += 1 + (i % 211)) {
        const [row, output] = [Math.floor(i / outputs), i % outputs];
        let sum = values[output];
        for (let k = 0; k < inputs; k++) sum += host[row * inputs + k] * stored[output * inputs + k];
        error = Math.max(error, Math.abs(y[i] - sum));
        scale = Math.max(scale, Math.abs(sum));
      }
      found.push({ name: `${dtype} ${rows} × ${inputs} × ${outputs}`, error: error / scale });
      for (const tensor of [x, weight, bias, result]) tensor.dispose();
    }
  }
  return found;
}
