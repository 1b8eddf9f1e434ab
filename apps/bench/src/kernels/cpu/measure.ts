/**
 * Times the cpu backend's kernels in one mode, each beside the machine's limit. Every round measures every case and the
 * limits once, for some milliseconds: work of other processes that comes and goes meets all alike, and the best round
 * counts. Node only.
 */
import process from 'node:process';
import { cpu } from '@mamba/cpu';
import { openMeter } from '../../machine/ceilings.ts';
import { limitKernels } from '../../machine/limit-kernels.ts';
import { type Mode, PLACE_OPTIONS } from '../../machine/modes.ts';
import { type KernelCase, kernelCases, LIMITS } from './cases.ts';
import { processorTime } from './processor-time.ts';

export interface KernelsRequest {
  readonly mode: Mode;
  readonly seconds: number;
  readonly quick: boolean;
}

export interface ModeReport {
  readonly mode: Mode;
  readonly engine: string;
  readonly rounds: number;
  readonly rows: readonly KernelRow[];
}

export interface KernelRow {
  readonly name: string;
  readonly unit: string;
  readonly value: number;
  /** The share of the machine's limit that was reached. */
  readonly share?: number;
}

/** A case or a limit: `rate` gives the units of work a second of one sample. */
interface Measured extends Pick<KernelCase, 'name' | 'unit' | 'work' | 'limit' | 'over'> {
  rate(): number | Promise<number>;
}

/** Milliseconds of a sample of two threads' bandwidth. */
const BANDWIDTH_SAMPLE = 10;

export async function measureKernels({ mode, seconds, quick }: KernelsRequest): Promise<ModeReport> {
  const create = (threads: number) => cpu({ threads, ...PLACE_OPTIONS[mode] }).create();
  const [one, two] = [await create(1), await create(2)];
  // The limits are opened after the backends, which reset V8's flags once they are compiled: the limits' kernels need
  // the flag of their mode.
  const limits = await openLimits(mode);
  try {
    const cases: Measured[] = [
      ...limits.cases,
      ...(await kernelCases(one, two, quick)).map((entry) => ({ ...entry, rate: () => rateOf(entry) })),
    ];
    // The first round compiles, and lets memory grow.
    for (const entry of cases) await entry.rate();
    const best = new Map<string, number>();
    const start = performance.now();
    let rounds = 0;
    for (; rounds < 3 || performance.now() - start < seconds * 1000; rounds++) {
      for (const entry of cases) best.set(entry.name, Math.max(best.get(entry.name) ?? 0, await entry.rate()));
    }
    return { mode, engine: `Node ${process.versions.node}`, rounds, rows: cases.map((entry) => rowOf(entry, best)) };
  } finally {
    await Promise.all([one.dispose(), two.dispose(), limits.stop()]);
  }
}

async function openLimits(mode: Mode): Promise<{ cases: Measured[]; stop(): Promise<void> }> {
  const kernels = await limitKernels(mode);
  const meter = await openMeter(2, mode);
  const single = (bound: 'operations' | 'bandwidth') => () => {
    const start = processorTime();
    return (kernels.run(bound) / (processorTime() - start)) * 1000;
  };
  return {
    cases: [
      { name: LIMITS.operations, unit: 'GFLOP/s', work: 1, rate: single('operations') },
      { name: LIMITS.bandwidth, unit: 'GB/s', work: 1, rate: single('bandwidth') },
      {
        name: LIMITS.bandwidthOfTwo,
        unit: 'GB/s',
        work: 1,
        rate: () => meter.rate('bandwidth', BANDWIDTH_SAMPLE),
      },
    ],
    stop: () => meter.stop(),
  };
}

function rateOf({ run, work, calls = 1, threads }: KernelCase): number {
  const clock = threads === 2 ? () => performance.now() : processorTime;
  const start = clock();
  for (let call = 0; call < calls; call++) run();
  return (1000 * calls * work) / (clock() - start);
}

function rowOf({ name, unit, limit, over }: Measured, best: ReadonlyMap<string, number>): KernelRow {
  const rate = best.get(name)!;
  if (over !== undefined) return { name, unit, value: rate / best.get(over)! };
  const value = unit.startsWith('ns') ? 1e9 / rate : rate / 1e9;
  return { name, unit, value, ...(limit !== undefined && { share: rate / best.get(limit)! }) };
}
