/** The kernels of assembly/ceilings.ts, and the work of a call of each. */
import { platform } from '#platform';
import { ceilingsBase64 } from '../generated/ceilings.ts';
import type { LimitAnswer, LimitRequest } from '../platform/platform.ts';
import type { Mode } from './modes.ts';

interface Kernels {
  multiplyAndAdd(rounds: number, multiplier: number, addend: number): number;
  multiplyAdd(rounds: number, multiplier: number, addend: number): number;
  multiplyAddWide(rounds: number, multiplier: number, addend: number): number;
  prepare(bytes: number): number;
  readSum(bytes: number): number;
}

export interface LimitKernels {
  /** Does some milliseconds' work, and gives how much: operations or bytes. */
  run(bound: LimitRequest['bound']): number;
  /** Bytes that the bandwidth is measured over: more than a cache holds. */
  readonly bytes: number;
}

/** The same work over and over until its time is up. */
export function workFor(kernels: LimitKernels, bound: LimitRequest['bound'], duration: number): LimitAnswer {
  const start = performance.now();
  let work = 0;
  let milliseconds: number;
  do {
    work += kernels.run(bound);
    milliseconds = performance.now() - start;
  } while (milliseconds < duration);
  return { work, milliseconds };
}

/** @throws Error where the engine has no WebAssembly SIMD, or not that of this mode, or no room. */
export async function limitKernels(mode: Mode): Promise<LimitKernels> {
  const text = ceilingsBase64[mode === 'plain' ? 'simd' : 'relaxed'];
  const code = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  if (mode === 'revectorized') platform.revectorize();
  const { instance } = await WebAssembly.instantiate(code);
  const kernels = instance.exports as unknown as Kernels;
  let megabytes = platform.small ? 4 : 256;
  while (!kernels.prepare(megabytes * 2 ** 20)) {
    megabytes /= 2;
    if (megabytes < 64) throw new Error('there is no room for 64 MiB to measure the bandwidth with');
  }
  const bytes = megabytes * 2 ** 20;
  return {
    bytes,
    run(bound) {
      if (bound === 'bandwidth') {
        kernels.readSum(bytes);
        return bytes;
      }
      const rounds = 400_000;
      if (mode === 'plain') {
        kernels.multiplyAndAdd(rounds, 1, 0.5);
        return rounds * 192;
      }
      // Any multiplier and addend do that keep x normal: it settles at a / (1 - m).
      if (mode === 'revectorized') {
        kernels.multiplyAddWide(rounds, 0.5, 0.5);
        return rounds * 160;
      }
      kernels.multiplyAdd(rounds, 0.5, 0.5);
      return rounds * 80;
    },
  };
}
