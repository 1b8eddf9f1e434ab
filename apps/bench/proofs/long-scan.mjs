/**
 * The scan's memory is constant in length: `node apps/bench/proofs/long-scan.mjs [--backend cpu]`. One block of 8
 * channels with 16 states, scanned over 2^16 and over 2^20 steps; what the backend holds beyond inputs and outputs may
 * differ by at most a tenth.
 */
import { parseArgs } from 'node:util';

const { backend: name } = parseArgs({ options: { backend: { type: 'string', default: 'cpu' } } }).values;
const provider = (await import(`@mamba/${name}`))[name];
const [batch, dim, state] = [1, 8, 16];

const short = await extraMemory(2 ** 16);
const long = await extraMemory(2 ** 20);
const growth = long / short - 1;
console.log(
  `beyond inputs and outputs: ${kib(short)} at 2^16, ${kib(long)} at 2^20 (${(100 * growth).toFixed(1)} % more)`,
);
if (growth > 0.1) process.exitCode = 1;

/** Bytes that the backend reserves at its peak, less those of the tensors that go in and come out. */
async function extraMemory(length) {
  const backend = await provider().create();
  const fill = (shape, scale) => {
    const data = new Float32Array(shape.reduce((size, extent) => size * extent, 1));
    for (let index = 0; index < data.length; index++) data[index] = scale * Math.sin(index * 0.7 + 1);
    return backend.upload({ dtype: 'float32', shape, data });
  };
  const [u, delta, z] = [1, 0.1, 1].map((scale) => fill([batch, length, dim], scale));
  const [B, C] = [1, 1].map((scale) => fill([batch, length, state], scale));
  const A = backend.upload({
    dtype: 'float32',
    shape: [dim, state],
    data: Float32Array.from({ length: dim * state }, (_, index) => -1 - (index % state)),
  });
  const begin = performance.now();
  const { y, lastState } = backend.selectiveScan(u, delta, A, B, C, { z, deltaSoftplus: true });
  await backend.synchronize();
  const seconds = (performance.now() - begin) / 1000;
  const { bytes, reserved } = backend.memory();
  console.log(
    `2^${Math.log2(length)} steps: ${seconds.toFixed(2)} s, ${kib(bytes)} of inputs and outputs, ${kib(reserved)} reserved`,
  );
  for (const tensor of [u, delta, z, B, C, A, y, lastState]) tensor.dispose();
  await backend.dispose();
  return reserved - bytes;
}

function kib(bytes) {
  return `${(bytes / 1024).toFixed(0)} KiB`;
}
