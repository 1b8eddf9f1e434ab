// node bench/length.mjs [threads] [simd | relaxed | revectorized]: that time is linear in length, and a step as fast
// after 2^20 tokens as after 2^4. In a minute, prints the slope of log time over log length for the scan alone and for
// the prefill of a model (1.00 is linear; the goal is ± 0.03), and the time of a token decoded after each number of
// tokens, really fed, in turns, least of all turns. One thread is measured in processor time, which neighbours disturb
// less; several by the clock. Needs the built package.
import process from 'node:process';
import { seededWeights } from '@mamba/conformance';
import { createModel, modelConfig } from '@mamba/core';
import { cpu } from '@mamba/cpu';

const threads = Number(process.argv[2] ?? 1);
const mode = process.argv[3] ?? 'auto';
const backend = await cpu({
  threads,
  build: mode === 'revectorized' ? 'relaxed' : mode,
  revectorize: mode === 'revectorized',
}).create();
console.log(`Node ${process.versions.node}; ${backend.description}`);

const clock = threads > 1 ? () => performance.now() : processorMilliseconds;
const LENGTHS = Array.from({ length: 9 }, (_, index) => 2 ** (9 + index));
slope('selectiveScan, dim 64, 16 states', scans());

const config = modelConfig({ layers: 2, dModel: 128, vocabSize: 1000 });
const model = await createModel(backend, config, seededWeights(config, 1));
const tokens = (count) => [Int32Array.from({ length: count }, (_, index) => (index * 7919) % 1000)];
slope(
  'prefill, d_model 128, 2 layers',
  LENGTHS.slice(0, 6).map((length) => ({
    length,
    run() {
      const { state } = model.forward(tokens(length), { logits: 'none' });
      state.dispose();
    },
  })),
);
await decode();
model.dispose();
await backend.dispose();

function processorMilliseconds() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function scans() {
  const [dim, states] = [64, 16];
  const values = (shape, low, high) => {
    const size = shape.reduce((product, extent) => product * extent, 1);
    const data = Float32Array.from({ length: size }, (_, index) => low + (high - low) * ((index * 0.618033988) % 1));
    return backend.upload({ dtype: 'float32', shape, data });
  };
  const A = values([dim, states], -16, -1);
  return LENGTHS.map((length) => {
    const [u, delta] = [values([1, length, dim], -1, 1), values([1, length, dim], -4, 0)];
    const [B, C] = [values([1, length, states], -1, 1), values([1, length, states], -1, 1)];
    return {
      length,
      run() {
        const { y, lastState } = backend.selectiveScan(u, delta, A, B, C, { deltaSoftplus: true });
        y.dispose();
        lastState.dispose();
      },
    };
  });
}

/** Short lengths are repeated until they take as long as the longest. All in turns; the least time counts. */
function slope(name, cases) {
  const longest = cases.at(-1).length;
  const least = cases.map(() => Number.POSITIVE_INFINITY);
  for (let turn = 0; turn < 6; turn++) {
    for (const [index, { length, run }] of cases.entries()) {
      for (let time = 0; time < Math.min(64, longest / length); time++) {
        const start = clock();
        run();
        if (turn > 0) least[index] = Math.min(least[index], clock() - start);
      }
    }
  }
  const [x, y] = [cases.map(({ length }) => Math.log(length)), least.map(Math.log)];
  const mean = (all) => all.reduce((sum, value) => sum + value, 0) / all.length;
  const [mx, my] = [mean(x), mean(y)];
  const top = x.reduce((sum, value, index) => sum + (value - mx) * (y[index] - my), 0);
  const fitted = top / x.reduce((sum, value) => sum + (value - mx) ** 2, 0);
  const each = cases.map(({ length }, index) => ((least[index] * 1000) / length).toFixed(2)).join(' ');
  console.log(`${name}: slope ${fitted.toFixed(3)} over ${LENGTHS[0]} … ${longest}; µs a step: ${each}`);
}

async function decode() {
  const after = [];
  for (const length of [2 ** 4, 2 ** 20]) {
    let state;
    for (let fed = 0; fed < length; fed += 2 ** 16) {
      const part = tokens(Math.min(2 ** 16, length));
      state = model.forward(part, { state, logits: 'none', donateState: state !== undefined }).state;
    }
    after.push({ length, state, times: [] });
  }
  const count = 64;
  for (let turn = 0; turn < 200; turn++) {
    for (const { state, times } of after) {
      const start = clock();
      const decoded = model.decode([[1]], state, { count });
      times.push((clock() - start) / count);
      decoded.ids.dispose();
      decoded.state.dispose();
    }
  }
  const [few, many] = after.map(({ length, state, times }) => {
    state.dispose();
    const sorted = times.slice(10).sort((a, b) => a - b);
    const [least, median] = [sorted[0] * 1000, sorted[sorted.length >> 1] * 1000];
    console.log(`decode after ${length} tokens: ${least.toFixed(2)} µs a token at least, median ${median.toFixed(2)}`);
    return { least, median };
  });
  console.log(
    `after 2^20 over after 2^4: ${(many.least / few.least).toFixed(3)} at least, median ${(many.median / few.median).toFixed(3)}`,
  );
}
