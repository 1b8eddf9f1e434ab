/**
 * What the papers and the seed of this project claim of Mamba beside other systems, and what was measured of each. What
 * is said of a measurement is computed from its JSON; the reasons for differences are part of the claim.
 */
import type { Crossing, Measure, TaskName, TaskRow, VersusReport } from '../../schema/versus.ts';
import { logLogSlope } from '../../timing/statistics.ts';
import { attentionMemory, BERT_BASE } from '../../versus/attention-memory.ts';
import { needsOf } from '../../versus/crossings.ts';
import { BASELINE } from '../../versus/systems.ts';
import { digits, formatBytes, formatSeconds } from '../format.ts';
import { formatLength, generationTable } from './matrix.ts';
import { formatShare, shareRight, trainingRatio } from './tasks.ts';

export interface Claim {
  readonly claim: string;
  /** Who says it, and how it was measured there. */
  readonly source: string;
  /** What a report says of it; undefined where the report lacks what it takes. */
  measured(report: VersusReport, backend: string): string | undefined;
}

/** The system that stands for attention: softmax attention in tiles, as FlashAttention computes it. */
const ATTENTION = 'attention';
/** The same, with the matrix of scores in memory. */
const NAIVE = 'softmax-attention';
const RNNS: readonly string[] = ['lstm', 'gru'];

export const CLAIMS: readonly Claim[] = [
  {
    claim: 'Time of a whole sequence grows linearly with its length, that of attention with its square',
    source: 'arxiv.org/abs/2312.00752, section 3',
    measured: (report, backend) =>
      joined([BASELINE, ATTENTION, NAIVE], (system) => {
        const slope = slopeOf(report, { backend, measure: 'forward', of: 'time', system });
        return slope === undefined ? undefined : `${labelOf(report, system)} grows as length^${slope.toFixed(2)}`;
      }),
  },
  {
    claim: 'Memory of a whole sequence grows linearly; scores in memory grow with the square',
    source: 'arxiv.org/abs/2312.00752, section 3; arxiv.org/abs/2205.14135 for attention in tiles',
    measured: (report, backend) =>
      joined([BASELINE, ATTENTION, NAIVE], (system) => {
        const longest = needsOf(report.points, { backend, measure: 'forward', of: 'memory', system }).at(-1);
        return longest && `${labelOf(report, system)} ${formatBytes(longest.need)} at ${formatLength(longest.length)}`;
      }),
  },
  {
    claim: 'A step takes constant time and memory, whatever came before; a cache of keys and values grows',
    source: 'arxiv.org/abs/2312.00752, section 1',
    measured: (report, backend) =>
      joined([BASELINE, ATTENTION], (system) => {
        const [first, last] = ends(needsOf(report.points, { backend, measure: 'step', of: 'time', system }));
        const [, state] = ends(needsOf(report.points, { backend, measure: 'step', of: 'memory', system }));
        if (first === undefined || last === undefined || state === undefined) return undefined;
        const times =
          `${formatSeconds(first.need)} after ${formatLength(first.length)} tokens, ` +
          `${formatSeconds(last.need)} after ${formatLength(last.length)}`;
        return `${labelOf(report, system)}: ${times}, with ${formatBytes(state.need)} of state`;
      }),
  },
  {
    claim: 'The scan is faster than FlashAttention-2 beyond 2K tokens, and 7 times at 32K',
    source:
      'arxiv.org/abs/2312.00752, figure 8 and mamba#27: the scan alone against attention alone, A100, D 1024, ' +
      '16 states',
    measured: (report, backend) =>
      crossingText(report, { backend, measure: 'forward', of: 'time', against: ATTENTION }),
  },
  {
    claim: 'Generation is 4 to 5 times as fast as a Transformer of its size',
    source:
      'arxiv.org/abs/2312.00752, figure 8: prompts of 2048, 128 new tokens, 1.4B and 6.9B on an A100, ' +
      'the largest batch that fits',
    measured(report, backend) {
      const table = generationTable(report, backend);
      const ratios = table?.rows.flatMap(({ prompt, batch, ratio }) =>
        ratio === undefined ? [] : [{ prompt, batch, ratio }],
      );
      if (ratios === undefined || ratios.length === 0) return undefined;
      const [least, most] = ends(ratios.toSorted((a, b) => a.ratio - b.ratio));
      const text = ({ prompt, batch, ratio }: (typeof ratios)[number]): string =>
        `${digits(ratio)} times with ${batch} × ${formatLength(prompt)}`;
      return ratios.length === 1 ? text(most!) : `${text(least!)} to ${text(most!)}`;
    },
  },
  {
    claim: 'RNNs train slowly, since their steps cannot run side by side',
    source: "the seed, and arxiv.org/abs/2312.00752, section 3.3: Mamba's scan is parallel over length",
    measured: (report, backend) =>
      joined(['lstm', 'gru'], (against) => {
        const crossing = findCrossing(report, { backend, measure: 'train', of: 'time', against });
        if (crossing === undefined) return undefined;
        const times = `${digits(crossing.ratio)} times Mamba's at ${formatLength(crossing.length)}`;
        return `a step of ${labelOf(report, against)} takes ${times}`;
      }),
  },
  {
    claim: 'In training, a model of LSTM or GRU gets through fewer tokens a second',
    source: 'the seed; whole models of equal size by the same recipe',
    measured: (report, backend) =>
      joined(
        tasksOf(report, backend, 'language', 'selective-copying').filter(({ system }) => RNNS.includes(system)),
        (row) => {
          const ratio = trainingRatio(report, row);
          return ratio === undefined ? undefined : `Mamba ${digits(ratio)} times as many as ${row.label} (${row.task})`;
        },
      ),
  },
  {
    claim: 'RNNs forget: what they answer after short sequences they do not answer after long ones',
    source: 'the seed; arxiv.org/abs/2312.00752, section 4.1, has the tasks, and no LSTM or GRU',
    measured: (report, backend) =>
      joined(
        tasksOf(report, backend, 'selective-copying', 'induction-heads').filter(({ system }) =>
          [BASELINE, ...RNNS].includes(system),
        ),
        (row) => {
          const [short, long] = ends(row.accuracy ?? []);
          if (short === undefined || long === undefined) return undefined;
          const text = ({ length }: typeof short): string =>
            `${formatShare(shareRight(row, length)!)} at ${formatLength(length)}`;
          return `${row.label} ${text(short)} and ${text(long)} (${row.task})`;
        },
      ),
  },
  {
    claim: 'A model is as good as what its state holds: efficient ones have a small state, effective ones a large one',
    source: 'arxiv.org/abs/2312.00752, section 3.1; here by models of equal size and the same recipe on one text',
    measured: (report, backend) =>
      joined(tasksOf(report, backend, 'language'), ({ label, heldOut, state }) => {
        const [first] = heldOut ?? [];
        return first && `${label} ${first.bitsPerByte.toFixed(3)} bits per byte with ${formatBytes(state)}`;
      }),
  },
  {
    claim: 'Without selection a block is no faster, so what selection gains costs nothing',
    source: 'arxiv.org/abs/2312.00752, section 3.3; what it gains is in docs/training.md',
    measured: (report, backend) =>
      crossingText(report, { backend, measure: 'forward', of: 'time', against: 'time-invariant' }),
  },
];

/** The seed's figure for attention's memory, which is a formula and needs no measurement. */
export function describeBert(): string {
  const { weights, scores, queriesKeysValues, forward } = attentionMemory(BERT_BASE);
  const [w, s, q] = [weights, scores, queriesKeysValues].map((bytes) => `${Math.round(bytes / 1e6)} MB`);
  return `${w} of weights, ${s} of one layer's scores and ${q} of its queries, keys and values are ${(forward / 2 ** 30).toFixed(2)} GiB`;
}

interface Key {
  readonly backend: string;
  readonly measure: Measure;
  readonly of: Crossing['of'];
}

function findCrossing({ crossings }: VersusReport, key: Key & { readonly against: string }): Crossing | undefined {
  return crossings.find(
    ({ backend, measure, of, against }) =>
      backend === key.backend && measure === key.measure && of === key.of && against === key.against,
  );
}

function tasksOf({ tasks = [] }: VersusReport, backend: string, ...names: readonly TaskName[]): readonly TaskRow[] {
  return names.flatMap((name) => tasks.filter((row) => row.task === name && row.backend === backend));
}

/** The slope over the longer half of the lengths, where what does not grow counts little. */
function slopeOf(report: VersusReport, key: Key & { readonly system: string }): number | undefined {
  const points = needsOf(report.points, key);
  const longer = points.slice(Math.floor(points.length / 2));
  return longer.length < 2 ? undefined : logLogSlope(longer.map(({ length, need }) => ({ x: length, y: need })));
}

function crossingText(report: VersusReport, key: Key & { readonly against: string }): string | undefined {
  const found = findCrossing(report, key);
  if (found === undefined) return undefined;
  const { less, from, ratio, length } = found;
  const at = `${digits(ratio)} times ${labelOf(report, key.against)}'s time over Mamba's at ${formatLength(length)}`;
  if (less === 'from') return `Mamba's block is faster from ${formatLength(Math.round(from!))} tokens on; ${at}`;
  return less === 'always' ? `Mamba's block is faster at every length; ${at}` : `Mamba's block is not faster; ${at}`;
}

function labelOf(report: VersusReport, system: string): string {
  return report.systems.find(({ name }) => name === system)?.label ?? system;
}

function joined<T>(items: readonly T[], text: (item: T) => string | undefined): string | undefined {
  const found = items.map(text).filter((one) => one !== undefined);
  return found.length === 0 ? undefined : found.join('; ');
}

function ends<T>(items: readonly T[]): [T | undefined, T | undefined] {
  return [items[0], items.at(-1)];
}
