// node bench/kernels.mjs [rounds] [simd | relaxed | revectorized]: the kernels' speed on this machine, beside a measured multiply-add peak
// and read bandwidth of the same build. Needs the built package. One thread, processor time, best and median of the rounds; every round measures every case and the
// machine, so that a neighbour that comes and goes meets all of them alike.
import process from 'node:process';
import { cpu } from '@mamba/cpu';
import { openMachine } from './machine.mjs';

const rounds = Number(process.argv[2] ?? 15);
const mode = process.argv[3] ?? 'simd';
const build = mode === 'simd' ? 'simd' : 'relaxed';
const backend = await cpu({ threads: 1, build, revectorize: mode === 'revectorized' }).create();
const machine = await openMachine(mode);
const cases = [];

const random = (count, low, high) => Float32Array.from({ length: count }, () => low + Math.random() * (high - low));
const values = (shape, low, high) => ({
  dtype: 'float32',
  shape,
  data: random(
    shape.reduce((size, extent) => size * extent, 1),
    low,
    high,
  ),
});
const upload = (shape, low = -1, high = 1) => backend.upload(values(shape, low, high));
const matrix = (shape, dtype = 'float32') => backend.upload(values(shape, -1, 1), { dtype, role: 'matrix' });

/** `rate` turns seconds into the figure that is shown, in `unit`; `ceiling` is what to compare with, if anything. */
function add(name, run, { unit, rate, ceiling }) {
  run(); // compiled, and memory grown
  const start = performance.now();
  run();
  const calls = Math.max(1, Math.min(300, Math.floor(5 / (performance.now() - start))));
  cases.push({ name, run, calls, unit, rate, ceiling, seconds: [] });
}

const dispose = (result) => {
  for (const tensor of 'y' in result ? Object.values(result) : [result]) tensor.dispose();
};

const dim = 1536;
for (const [state, length] of [16, 8, 64].flatMap((states) =>
  (states === 16 ? [1, 16, 512, 2048, 8192] : [512]).map((steps) => [states, steps]),
)) {
  const [u, delta, z] = [upload([1, length, dim]), upload([1, length, dim], -4, 0), upload([1, length, dim])];
  const A = upload([dim, state], -16, -1);
  const [B, C] = [upload([1, length, state]), upload([1, length, state])];
  const options = { D: upload([dim]), z, deltaBias: upload([dim]), deltaSoftplus: true };
  add(
    `selectiveScan dim ${dim}, ${state} states, length ${length}`,
    () => dispose(backend.selectiveScan(u, delta, A, B, C, options)),
    { unit: 'ns a state step', rate: (seconds) => (seconds * 1e9) / (length * dim * state) },
  );
}

for (const [rows, inputs, outputs] of [
  [512, 768, 3072],
  [512, 1536, 768],
  [512, 1536, 80],
  [512, 48, 1536],
  [16, 768, 3072],
  [8, 768, 3072],
]) {
  const [x, weight] = [upload([rows, inputs]), matrix([outputs, inputs])];
  add(`linear ${rows} × ${inputs} × ${outputs}`, () => dispose(backend.linear(x, weight)), {
    unit: 'GFLOP/s',
    rate: (seconds) => (2 * rows * inputs * outputs) / seconds / 1e9,
    ceiling: 'gflops',
  });
}

// Bytes of a weight, scales included.
for (const [dtype, bytes] of [
  ['float32', 4],
  ['float16', 2],
  ['bfloat16', 2],
  ['q8', 17 / 16],
  ['q4', 9 / 16],
]) {
  const weights = Array.from({ length: 42 }, () => matrix([4000, 768], dtype));
  for (const rows of dtype === 'float32' ? [1, 2, 4, 8] : [1, 8]) {
    const x = upload([rows, 768]);
    add(
      `linear of ${rows} row${rows === 1 ? '' : 's'} by 129 M weights in ${dtype}`,
      () => {
        for (const weight of weights) dispose(backend.linear(x, weight));
      },
      { unit: 'GB/s', rate: (seconds) => (weights.length * 4000 * 768 * bytes) / seconds / 1e9, ceiling: 'bandwidth' },
    );
  }
}

{
  const length = 512;
  const x = upload([1, length, dim]);
  const [weight, bias, scale] = [upload([dim, 4]), upload([dim]), upload([dim])];
  const element = { unit: 'ns an element', rate: (seconds) => (seconds * 1e9) / (length * dim) };
  add(
    `causalConv1d + SiLU ${length} × ${dim}`,
    () => dispose(backend.causalConv1d(x, weight, bias, { activation: 'silu' })),
    element,
  );
  add(`rmsNorm ${length} × ${dim}`, () => dispose(backend.rmsNorm(x, { weight: scale })), element);
  const logits = upload([1, 50280]);
  const ids = backend.argmax(logits);
  const call = { unit: 'µs', rate: (seconds) => seconds * 1e6 };
  add('argmax of 50280', () => dispose(backend.argmax(logits)), call);
  add('logProb of 50280', () => dispose(backend.logProb(logits, ids)), call);
}

const processorSeconds = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};
for (let round = 0; round < rounds; round++) {
  machine.measure();
  for (const { run, calls, seconds } of cases) {
    const start = processorSeconds();
    for (let call = 0; call < calls; call++) run();
    seconds.push((processorSeconds() - start) / calls);
  }
}

console.log(`Node ${process.versions.node}; ${backend.description}; ${rounds} rounds`);
console.log(`multiply + add ${machine.gflops.toFixed(1)} GFLOP/s; read ${machine.bandwidth.toFixed(1)} GB/s`);
for (const { name, unit, rate, ceiling, seconds } of cases) {
  seconds.sort((a, b) => a - b);
  const [best, median] = [rate(seconds[0]), rate(seconds[seconds.length >> 1])];
  const share = ceiling === undefined ? '' : `, ${((100 * best) / machine[ceiling]).toFixed(0)} % of the machine's`;
  console.log(`${name}: ${best.toPrecision(3)} ${unit}${share} (median ${median.toPrecision(3)})`);
}
await backend.dispose();
