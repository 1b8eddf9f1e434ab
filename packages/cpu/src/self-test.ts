/** Checks an instance whose compiler is experimental: the kernels that it changes, against sums in float64. */
import { type Layout, layoutNumber, matrixBytes } from './memory/storage.ts';
import { convCommand } from './operations/causal-conv1d.ts';
import type { Context } from './operations/context.ts';
import { linearCommands } from './operations/linear.ts';
import { scanCommand } from './operations/selective-scan.ts';
import { runCommands } from './program/program.ts';

/**
 * Whether products of every layout, scans of one step and of many steps in each of their ways, and a convolution give
 * the right numbers.
 */
export function passesSelfTest(context: Context): boolean {
  return (
    (['float32', 'float16', 'bfloat16', 'q8', 'q4'] as const).every((layout) =>
      [1, 2, 9].every((rows) => passesLinear(context, layout, rows)),
    ) &&
    passesScan(context, 1, 16, forgetting) &&
    [
      forgetting,
      remembering,
      (channel: number, n: number) => (channel % 8 === 3 ? remembering : forgetting)(channel, n),
    ].every((rate) => passesScan(context, 150, 17, rate)) &&
    passesConvolution(context)
  );
}

const value = (index: number): number => Math.fround(Math.sin(index * 1.7 + 0.3));
const silu = (x: number): number => x / (1 + Math.exp(-x));

function passesLinear(context: Context, layout: Exclude<Layout, 'rows'>, rows: number): boolean {
  const [inputs, outputs] = [300, 40];
  const { heap, wasm, team } = context;
  return heap.run((arena) => {
    const take = (count: number) => arena.scratch(count * 4);
    const [x, source, back, y] = [
      take(rows * inputs),
      take(outputs * inputs),
      take(outputs * inputs),
      take(rows * outputs),
    ];
    const weight = { ...arena.scratch(matrixBytes(layout, inputs, outputs)), layout };
    const fill = (allocation: typeof x, count: number, from: number) => {
      heap.floats(allocation, count).set(Float32Array.from({ length: count }, (_, index) => value(from + index)));
    };
    fill(x, rows * inputs, 0);
    fill(source, outputs * inputs, 7);
    wasm.packMatrix(source.address, inputs, outputs, layoutNumber(weight), weight.address);
    wasm.unpackMatrix(weight.address, inputs, 0, outputs, layoutNumber(weight), back.address);
    const commands = linearCommands(context, arena, { x: x.address, weight, y: y.address, rows, inputs, outputs });
    runCommands(heap, arena, team, ...commands);
    const stored = heap.floats(back, outputs * inputs);
    const limit = layout === 'q4' ? 0.15 : 0.01;
    const given = heap.floats(source, outputs * inputs);
    if (!stored.every((weightValue, index) => Math.abs(weightValue - given[index]!) < limit)) return false;
    return heap.floats(y, rows * outputs).every((result, index) => {
      const [row, output] = [Math.floor(index / outputs), index % outputs];
      let sum = 0;
      for (let k = 0; k < inputs; k++) sum += value(row * inputs + k) * stored[output * inputs + k]!;
      return Math.abs(result - sum) < 2e-3;
    });
  });
}

/** The element of A for a channel and a state. */
type Rate = (channel: number, n: number) => number;
const forgetting: Rate = (_, n) => -1 - n;
const remembering: Rate = (_, n) => Math.fround(-1e-4 * (1 + n));

function passesScan(context: Context, length: number, state: number, rate: Rate): boolean {
  const dim = 19;
  const { heap, team } = context;
  return heap.run((arena) => {
    const take = (count: number, at: (index: number) => number) => {
      const allocation = arena.scratch(count * 4);
      heap.floats(allocation, count).set(Float32Array.from({ length: count }, (_, index) => at(index)));
      return allocation;
    };
    const u = take(length * dim, value);
    const delta = take(length * dim, (index) => value(index + 3));
    const A = take(dim * state, (index) => rate(Math.floor(index / state), index % state));
    const B = take(length * state, (index) => value(index + 5));
    const C = take(length * state, (index) => value(index + 11));
    const D = take(dim, (index) => value(index + 17));
    const z = take(length * dim, (index) => 3 * value(index + 23));
    const deltaBias = take(dim, (index) => value(index + 2) - 1);
    const initial = take(dim * state, (index) => value(index + 29));
    const lastState = take(dim * state, () => 0);
    const y = take(length * dim, () => 0);
    const command = scanCommand(context, arena, {
      u: u.address,
      delta: delta.address,
      A: A.address,
      B: B.address,
      C: C.address,
      D: D.address,
      z: z.address,
      deltaBias: deltaBias.address,
      resets: 0,
      initialState: initial.address,
      lastState: lastState.address,
      states: 0,
      y: y.address,
      zStride: dim * 4,
      stepStride: state * 4,
      deltaSoftplus: true,
      discretization: 'euler',
      batch: 1,
      length,
      dim,
      state,
      groups: 1,
      constantB: false,
      constantC: false,
    });
    runCommands(heap, arena, team, command);
    const h = Float64Array.from({ length: dim * state }, (_, index) => value(index + 29));
    const results = heap.floats(y, length * dim);
    for (let t = 0; t < length; t++) {
      for (let channel = 0; channel < dim; channel++) {
        const at = t * dim + channel;
        const d = Math.log1p(Math.exp(value(at + 3) + value(channel + 2) - 1));
        let sum = 0;
        for (let n = 0; n < state; n++) {
          const place = channel * state + n;
          h[place] = Math.exp(d * rate(channel, n)) * h[place]! + d * value(t * state + n + 5) * value(at);
          sum += h[place]! * value(t * state + n + 11);
        }
        const y = (sum + value(channel + 17) * value(at)) * silu(3 * value(at + 23));
        if (!(Math.abs(results[at]! - y) < 1e-3)) return false;
      }
    }
    return heap.floats(lastState, dim * state).every((last, place) => Math.abs(last - h[place]!) < 1e-3);
  });
}

function passesConvolution(context: Context): boolean {
  const [length, dim, width] = [9, 27, 4];
  const { heap, team } = context;
  return heap.run((arena) => {
    const take = (count: number, from: number) => {
      const allocation = arena.scratch(count * 4);
      heap.floats(allocation, count).set(Float32Array.from({ length: count }, (_, index) => value(index + from)));
      return allocation;
    };
    const [x, weight, bias] = [take(length * dim, 0), take(dim * width, 5), take(dim, 9)];
    const [state, y] = [take(dim * (width - 1), 0), take(length * dim, 0)];
    const command = convCommand(context, arena, {
      x: x.address,
      xStride: dim * 4,
      weight: weight.address,
      bias: bias.address,
      initialState: 0,
      lastState: state.address,
      resets: 0,
      y: y.address,
      batch: 1,
      length,
      dim,
      width,
      silu: true,
    });
    runCommands(heap, arena, team, command);
    return heap.floats(y, length * dim).every((result, at) => {
      const [t, channel] = [Math.floor(at / dim), at % dim];
      let sum = value(channel + 9);
      for (let tap = Math.max(0, width - 1 - t); tap < width; tap++)
        sum += value(channel * width + tap + 5) * value((t - width + 1 + tap) * dim + channel);
      return Math.abs(result - silu(sum)) < 1e-5;
    });
  });
}
