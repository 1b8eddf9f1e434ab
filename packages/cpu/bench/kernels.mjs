// node bench/kernels.mjs: the kernels' speed on this machine, beside a measured multiply-add peak and read bandwidth.
// Needs the built package. One thread. Best and median of several runs.
import process from 'node:process';
import { cpu } from '@mamba/cpu';
import { measureMachine } from './machine.mjs';

const backend = await cpu().create();
const machine = await measureMachine();
console.log(`Node ${process.versions.node}; ${backend.description}`);
console.log(`multiply + add ${machine.gflops.toFixed(1)} GFLOP/s; read ${machine.bandwidth.toFixed(1)} GB/s`);

const random = (count, low = -1, high = 1) =>
  Float32Array.from({ length: count }, () => low + Math.random() * (high - low));
const upload = (shape, low, high) =>
  backend.upload({
    dtype: 'float32',
    shape,
    data: random(
      shape.reduce((size, extent) => size * extent, 1),
      low,
      high,
    ),
  });

const processorSeconds = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

/**
 * Processor seconds of a call, best and median: the kernels have one thread, and a busy machine does not distort them as it does the
 * clock. Short calls are taken a few hundred at a time. Disposal counts.
 */
function time(run, repeats) {
  const call = () => {
    const result = run();
    for (const tensor of result === undefined ? [] : 'y' in result ? Object.values(result) : [result]) tensor.dispose();
  };
  const once = performance.now();
  call();
  const calls = Math.max(1, Math.min(300, Math.floor(10 / (performance.now() - once))));
  const seconds = [];
  for (let index = 0; index < repeats; index++) {
    const start = processorSeconds();
    for (let count = 0; count < calls; count++) call();
    seconds.push((processorSeconds() - start) / calls);
  }
  seconds.sort((a, b) => a - b);
  return { best: seconds[0], median: seconds[seconds.length >> 1] };
}

const dim = 1536;
for (const state of [16, 8, 64]) {
  for (const length of state === 16 ? [1, 2, 3, 16, 512, 2048, 8192] : [512]) {
    const activation = () => upload([1, length, dim]);
    const [u, delta, z] = [activation(), upload([1, length, dim], -4, 0), activation()];
    const A = upload([dim, state], -16, -1);
    const [B, C] = [upload([1, length, state]), upload([1, length, state])];
    const [D, deltaBias] = [upload([dim]), upload([dim])];
    const options = { D, z, deltaBias, deltaSoftplus: true };
    const { best, median } = time(() => backend.selectiveScan(u, delta, A, B, C, options), length > 4096 ? 5 : 15);
    const steps = (length * dim * state) / 1e9;
    console.log(
      `selectiveScan dim ${dim}, ${state} states, length ${length}: ${(best / steps).toFixed(3)} ns a state step (median ${(median / steps).toFixed(3)})`,
    );
    for (const tensor of [u, delta, z, A, B, C, D, deltaBias]) tensor.dispose();
  }
}

for (const [rows, inputs, outputs] of [
  [512, 768, 3072],
  [512, 1536, 768],
  [512, 1536, 80],
  [512, 48, 1536],
  [16, 768, 3072],
  [8, 768, 3072],
  [4, 768, 3072],
  [2, 768, 3072],
]) {
  const x = upload([rows, inputs]);
  const weight = upload([outputs, inputs]);
  const { best, median } = time(() => backend.linear(x, weight), 15);
  const work = (2 * rows * inputs * outputs) / 1e9;
  console.log(
    `linear ${rows} × ${inputs} × ${outputs}: ${(work / best).toFixed(1)} GFLOP/s, ${((100 * work) / best / machine.gflops).toFixed(0)} % of the peak (median ${(work / median).toFixed(1)})`,
  );
  x.dispose();
  weight.dispose();
}

{
  const weights = Array.from({ length: 42 }, () => upload([4000, 768]));
  for (const rows of [1, 4, 8]) {
    const x = upload([rows, 768]);
    const { best, median } = time(() => {
      for (const weight of weights) backend.linear(x, weight).dispose();
    }, 5);
    const gigabytes = (42 * 4000 * 768 * 4) / 1e9;
    console.log(
      `linear ${rows} row(s), 129 M weights: ${(gigabytes / best).toFixed(1)} GB/s, ${((100 * gigabytes) / best / machine.bandwidth).toFixed(0)} % of the bandwidth (median ${(gigabytes / median).toFixed(1)})`,
    );
    x.dispose();
  }
  for (const weight of weights) weight.dispose();
}

{
  const length = 512;
  const x = upload([1, length, dim]);
  const [weight, bias, scale] = [upload([dim, 4]), upload([dim]), upload([dim])];
  const conv = time(() => backend.causalConv1d(x, weight, bias, { activation: 'silu' }), 15);
  console.log(`causalConv1d + SiLU ${length} × ${dim}: ${((conv.best * 1e9) / length / dim).toFixed(2)} ns an element`);
  const norm = time(() => backend.rmsNorm(x, { weight: scale }), 15);
  console.log(`rmsNorm ${length} × ${dim}: ${((norm.best * 1e9) / length / dim).toFixed(2)} ns an element`);
  const logits = upload([1, 50280]);
  const ids = backend.argmax(logits);
  console.log(`argmax 50280: ${(time(() => backend.argmax(logits), 50).best * 1e6).toFixed(0)} µs`);
  console.log(`logProb 50280: ${(time(() => backend.logProb(logits, ids), 50).best * 1e6).toFixed(0)} µs`);
}
await backend.dispose();
