/**
 * The selective scan over lengths 2^9 … 2^17. Long inputs repeat those of a shorter conformance case: making random
 * numbers would take longer than scanning them, and the time of a scan does not depend on its values.
 */
import { selectiveScanCase } from '@mamba/conformance';
import { type Backend, type HostTensor, sizeOf, type Tensor } from '@mamba/core';
import { type BenchCase, chosen, type Suite } from './contract.ts';
import { readAll } from './values.ts';
import { type ScanShape, scanWork } from './work.ts';

export const scanSuite: Suite = {
  name: 'scan',
  summary: 'selective scan over lengths 2^9 … 2^17; thorough: to 2^20, over d_state and batch',
  sweep: 'length',
  takes: ['length', 'batch', 'state'],
  cases({ effort, slow, shapes }) {
    const usual = { batch: 1, length: 2048, dim: 512, state: 16 };
    const lengths = (powers: readonly number[]) => powers.map((power) => 2 ** power);
    if (slow) return lengths([7, 8, 9]).map((length) => scanCase({ ...usual, length }));
    if ([shapes?.length, shapes?.batch, shapes?.state].some((values) => values !== undefined && values.length > 0)) {
      return chosen(shapes?.state, [16]).flatMap((state) =>
        chosen(shapes?.batch, [1]).flatMap((batch) =>
          chosen(shapes?.length, [2048]).map((length) =>
            scanCase({ batch, length, dim: dimFor(batch * length), state }),
          ),
        ),
      );
    }
    const powers = effort === 'quick' ? [9, 11, 13] : [9, 10, 11, 12, 13, 14, 15, 16, 17];
    const sweep = lengths(powers).map((length) => scanCase({ ...usual, length }));
    if (effort !== 'thorough') return sweep;
    return [
      ...sweep,
      // 2^20 steps of 512 channels would take 2 GiB a tensor: the longest have fewer channels.
      ...lengths([16, 17, 18, 19, 20]).map((length) => scanCase({ ...usual, length, dim: 64 })),
      ...[4, 8, 32, 64].map((state) => scanCase({ ...usual, state })),
      ...[4, 16, 64].map((batch) => scanCase({ ...usual, length: 512, batch })),
    ];
  },
};

/** The number of channels that keeps a tensor within 256 MiB. */
function dimFor(steps: number): number {
  return steps <= 2 ** 17 ? 512 : 64;
}

/** Longest length whose inputs are made afresh; longer ones repeat it. */
const PERIOD = 1024;
/** State steps that the reference does for a check: as many channels as fit, since channels are independent. */
const CHECKED_STATE_STEPS = 2 ** 22;

export function scanCase(shape: ScanShape): BenchCase {
  const { batch, length, dim, state } = shape;
  const others = [dim !== 512 && `dim-${dim}`, state !== 16 && `state-${state}`, batch !== 1 && `batch-${batch}`];
  const id = [`scan/length-${length}`, ...others].filter(Boolean).join('-');
  const channels = Math.max(1, Math.min(dim, Math.floor(CHECKED_STATE_STEPS / (batch * length * state))));
  const base = selectiveScanCase({ ...shape, length: Math.min(length, PERIOD), id });
  const inputs = (cut: number): Record<string, HostTensor> =>
    Object.fromEntries(
      Object.entries(base.build()).map(([name, { host }]) => [name, fit(name, host, shape, cut)] as const),
    );
  return {
    suite: 'scan',
    id,
    measurements: [
      {
        id,
        shape: { batch, length, dim, state },
        items: batch * length * dim * state,
        unit: 'state steps',
        work: (bytesPerValue) => scanWork(shape, bytesPerValue),
      },
    ],
    tolerance: base.tolerance.relative,
    checked: channels === dim ? 'the shape itself' : `the shape itself, on ${channels} of ${dim} channels`,
    checkOperations: scanWork({ ...shape, dim: channels }, 0).operations,
    async expected(reference) {
      const tensors = upload(reference, inputs(channels));
      try {
        return await readAll(reference, base.call(reference, tensors));
      } finally {
        free(tensors);
      }
    },
    async prepare(backend) {
      const tensors = upload(backend, inputs(dim));
      return {
        async actual() {
          const { y, lastState } = await readAll(backend, base.call(backend, tensors));
          return {
            y: firstChannels(y!, batch * length, dim, channels),
            lastState: firstChannels(lastState!, batch, dim * state, channels * state),
          };
        },
        measured: {
          [id]: { run: () => free(base.call(backend, tensors)) },
        },
        dispose: () => free(tensors),
      };
    },
  };
}

/** Repeats an input along its length and keeps its first `channels` channels, where it has these axes. */
function fit(name: string, host: HostTensor, shape: ScanShape, channels: number): HostTensor {
  const period = Math.min(shape.length, PERIOD);
  if (host.dtype !== 'float32') throw new TypeError(`an input of a scan is ${host.dtype}`);
  const perStep = name === 'u' || name === 'delta' || name === 'z';
  const timed = perStep || name === 'B' || name === 'C';
  if (!timed) {
    // [dim] or [dim, state]
    const row = sizeOf(host.shape.slice(1));
    return { dtype: 'float32', shape: host.shape.with(0, channels), data: host.data.subarray(0, channels * row) };
  }
  const width = sizeOf(host.shape.slice(2));
  const kept = perStep ? channels : width;
  const data = new Float32Array(shape.batch * shape.length * kept);
  for (let row = 0; row < shape.batch; row++) {
    for (let step = 0; step < shape.length; step++) {
      const from = (row * period + (step % period)) * width;
      data.set(host.data.subarray(from, from + kept), (row * shape.length + step) * kept);
    }
  }
  const cut = perStep ? host.shape.with(2, channels) : host.shape;
  return { dtype: 'float32', shape: cut.with(1, shape.length), data };
}

function firstChannels<T extends { readonly length: number }>(values: T, rows: number, width: number, kept: number): T {
  if (width === kept) return values;
  const all = values as unknown as Float32Array;
  const cut = new (all.constructor as Float32ArrayConstructor)(rows * kept);
  for (let row = 0; row < rows; row++) cut.set(all.subarray(row * width, row * width + kept), row * kept);
  return cut as unknown as T;
}

function upload(backend: Backend, inputs: Readonly<Record<string, HostTensor>>): Record<string, Tensor> {
  const tensors: Record<string, Tensor> = {};
  try {
    for (const [name, host] of Object.entries(inputs)) tensors[name] = backend.upload(host);
    return tensors;
  } catch (error) {
    free(tensors);
    throw error;
  }
}

function free(tensors: Readonly<Record<string, Tensor>>): void {
  for (const tensor of Object.values(tensors)) tensor.dispose();
}
