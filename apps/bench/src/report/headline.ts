/** The figure that comes first in a report: tokens a second of a whole model, written and read. */
import type { Report, Result } from '../schema/report.ts';

export interface Headline {
  readonly writes: Speed;
  /** Absent where no prompt was read. */
  readonly reads: Speed | undefined;
  /** What wrote, in words: `mamba-130m’s shape in float32`. */
  readonly model: string;
}

export interface Speed {
  readonly perSecond: number;
  readonly backend: string;
}

/** The suites whose model writes one text, those that say most first. */
const SUITES = ['model', 'peers', 'context'] as const;

/**
 * The speed of our fastest backend at writing, and at reading, in the first of these suites that was measured; in
 * float32 where that was, so that machines compare. Backends that are too slow for full shapes count where there are no
 * others, and the text at the end of the default job where no suite has a model. Undefined where nothing wrote.
 */
export function headlineOf(report: Report): Headline | undefined {
  const peers = new Set(report.backends.filter(({ peer }) => peer).map(({ name }) => name));
  const own = report.results.filter(
    ({ time, rate, backend }) => time && rate?.unit === 'tokens/s' && !peers.has(backend),
  );
  for (const suite of SUITES) {
    const all = own.filter((result) => result.suite === suite);
    const fast = all.filter(({ slow }) => slow === undefined);
    const writes = fastest(fast.length > 0 ? fast : all, 'decode');
    if (writes === undefined) continue;
    const same = all.filter(({ dtype, shape }) => dtype === writes.dtype && shape.layers === writes.shape.layers);
    const reads = fastest(same, 'prefill');
    return { writes: speedOf(writes), reads: reads && speedOf(reads), model: describe(writes) };
  }
  const { generation } = report;
  if (generation === undefined) return undefined;
  const { tokens, seconds, backend, checkpoint } = generation;
  return { writes: { perSecond: tokens / seconds, backend }, reads: undefined, model: checkpoint };
}

function fastest(results: readonly Result[], task: string): Result | undefined {
  const found = results.filter(({ case: id }) => id.includes(`/${task}-`));
  const plain = found.filter(({ dtype }) => dtype === 'float32');
  return (plain.length > 0 ? plain : found).toSorted((a, b) => b.rate!.perSecond - a.rate!.perSecond)[0];
}

const speedOf = ({ rate, backend }: Result): Speed => ({ perSecond: rate!.perSecond, backend });

function describe({ shape, dtype, slow }: Result): string {
  const { layers, dModel } = shape;
  const size =
    layers === 24 && dModel === 768
      ? 'a model of the shape of mamba-130m'
      : `a model of ${layers} layers, ${dModel} wide`;
  return `${size}, in ${dtype}${slow === undefined ? '' : ` (${slow})`}`;
}
