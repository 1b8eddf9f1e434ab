/**
 * What this machine can do at most, measured in the run that is compared with it: multiplications and additions a second, bytes
 * read a second. Measured in WebAssembly SIMD on one thread, so the share of a ceiling says how good a kernel is, not how good
 * WebAssembly is.
 */
import { ceilingsBase64 } from '../generated/ceilings.ts';
import type { Ceiling } from '../schema/report.ts';

export interface CeilingOptions {
  /** Milliseconds for each of the two. */
  readonly budget: number;
  /** Called between samples; throws to stop. */
  readonly pause: () => Promise<void>;
}

/** @throws Error where the engine has no WebAssembly SIMD. */
export async function measureCeilings({ budget, pause }: CeilingOptions): Promise<Ceiling[]> {
  const kernels = await instantiate();
  const operations = await best(budget, pause, () => {
    const rounds = 400_000;
    // Any multiplier and addend do that keep x normal: it settles at a / (1 - m).
    kernels.multiplyAdd(rounds, 0.5, 0.5);
    return rounds * 80;
  });
  let megabytes = 256;
  while (!kernels.prepare(megabytes * 2 ** 20)) {
    megabytes /= 2;
    if (megabytes < 64) throw new Error('there is no room for 64 MiB to measure the bandwidth with');
  }
  const bytes = await best(budget, pause, () => {
    kernels.readSum(megabytes * 2 ** 20);
    return megabytes * 2 ** 20;
  });
  return [
    {
      id: 'wasm-simd-operations',
      bound: 'operations',
      perSecond: operations,
      threads: 1,
      how: 'WebAssembly f32x4 multiply and add, ten independent chains in registers, best sample',
    },
    {
      id: 'wasm-simd-bandwidth',
      bound: 'bandwidth',
      perSecond: bytes,
      threads: 1,
      how: `WebAssembly v128 loads over ${megabytes} MiB, eight independent sums, best sample`,
    },
  ];
}

interface Kernels {
  multiplyAdd(rounds: number, multiplier: number, addend: number): number;
  prepare(bytes: number): number;
  readSum(bytes: number): number;
}

async function instantiate(): Promise<Kernels> {
  const bytes = Uint8Array.from(atob(ceilingsBase64), (character) => character.charCodeAt(0));
  const { instance } = await WebAssembly.instantiate(bytes);
  return instance.exports as unknown as Kernels;
}

/** Most work a second of any sample within the budget, five samples at least; a ceiling is what was reached once. */
async function best(budget: number, pause: () => Promise<void>, sample: () => number): Promise<number> {
  let rate = 0;
  const start = performance.now();
  for (let count = 0; count < 5 || performance.now() - start < budget; count++) {
    await pause();
    const before = performance.now();
    const work = sample();
    rate = Math.max(rate, (work / (performance.now() - before)) * 1000);
  }
  return rate;
}
