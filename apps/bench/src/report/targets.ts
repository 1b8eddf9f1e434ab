/** The cpu backend's goals beside a run's figures: a row for each goal, a cell for each mode, and for Chromium. */
import { PLACES, type Place } from '../machine/modes.ts';
import type { Report, Result, TimeSummary } from '../schema/report.ts';

export interface TargetRow {
  readonly label: string;
  /** The cells by place; absent where the goal does not apply to it. */
  readonly cells: Readonly<Partial<Record<Place, TargetCell>>>;
}

export interface TargetCell {
  /** The figure, `1.62×`; or the reason for which there is none. */
  readonly figure: string;
  /** The 10th to the 90th percentile. */
  readonly spread: string;
  /** `≥ 1.4×` */
  readonly goal: string;
  readonly met: boolean | undefined;
}

/** The goals of plain, relaxed and revectorised, where there are any. Chromium runs the relaxed build. */
type Goals = readonly [number | undefined, number | undefined, number | undefined];

interface Figure {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

const same = (goal: number): Goals => [goal, goal, goal];

/** Returns the rows that have a figure. */
export function targetsOf(report: Report): TargetRow[] {
  const measured = report.results.filter(
    (result): result is Result & { time: TimeSummary } => result.time !== undefined,
  );
  const find = (backend: string, pattern: RegExp, dtype = 'float32') =>
    measured.filter((result) => result.backend === backend && result.dtype === dtype && pattern.test(result.case));
  const time = (backend: string, pattern: RegExp, dtype?: string): TimeSummary | undefined =>
    find(backend, pattern, dtype)[0]?.time;
  const own = (mode: Place, threads: number): string => `cpu-${mode}@${threads}`;
  /** The ratio to another project, to its best candidate where it has several. */
  const against = (mode: Place, threads: number, rivals: readonly string[], pattern: RegExp, dtype?: string) => {
    const best = rivals.flatMap((rival) => time(rival, pattern, dtype) ?? []).sort((a, b) => a.median - b.median)[0];
    return ratio(best, time(own(mode, threads), pattern, dtype));
  };
  const share = (mode: Place, threads: number, pattern: RegExp, bound: string): Figure | undefined => {
    const result = find(own(mode, threads), pattern)[0];
    if (result?.ceiling === undefined || !result.ceiling.id.includes(bound)) return undefined;
    const { seconds } = result.ceiling;
    return { value: seconds / result.time.median, low: seconds / result.time.p90, high: seconds / result.time.p10 };
  };
  const PREFILL = /^peers\/prefill-/;
  const DECODE = /^peers\/decode-/;
  const GEMM = /^linear\/rows-512-768x3072$/;
  const native = ['llama.cpp@1', 'llama.cpp@2'];
  const rows = [
    row('scan alone, every length, one thread: ns a state step', '≤', [1.5, 1.2, 0.8], twoDigits, (mode) => {
      const results = find(own(mode, 1), /^scan\/length-\d+$/);
      const steps = results.map(({ time, shape }) => (time.median * 1e9) / stateSteps(shape));
      return results.length < 2
        ? undefined
        : { value: Math.max(...steps), low: Math.min(...steps), high: Math.max(...steps) };
    }),
    ...[1, 2].map((threads) =>
      row(
        `GEMM alone (512 × 768 → 3072), ${on(threads)}: share of the mode’s peak`,
        '≥',
        [0.85, 0.8, 0.8],
        percent,
        (mode) => share(mode, threads, GEMM, 'operations'),
      ),
    ),
    ...[1, 2].map((threads) =>
      row(`prefill, f32, ${on(threads)}, against node-llama-cpp`, '≥', [1.4, 2, 3.5], times, (mode) =>
        against(mode, threads, [`llama.cpp@${threads}`], PREFILL),
      ),
    ),
    row('prefill, f32, 2 threads, against wllama', '≥', [3, 4, undefined], times, (mode) =>
      against(mode, 2, ['wllama@2'], PREFILL),
    ),
    row('decode, f32, 2 threads: share of the bandwidth', '≥', same(0.85), percent, (mode) =>
      share(mode, 2, DECODE, 'bandwidth'),
    ),
    row('decode, f32, 2 threads, against node-llama-cpp', '≥', same(1.4), times, (mode) =>
      against(mode, 2, native, DECODE),
    ),
    row('decode, 8-bit, 2 threads, against node-llama-cpp Q8_0', '≥', [2, 2.5, 3], times, (mode) =>
      against(mode, 2, native, DECODE, 'q8'),
    ),
    row('decode, f16, 2 threads, against node-llama-cpp F16', '≥', [1.8, 1.8, 2], times, (mode) =>
      against(mode, 2, native, DECODE, 'float16'),
    ),
    row('prefill, two threads over one', '≥', same(1.9), times, (mode) =>
      ratio(time(own(mode, 1), PREFILL), time(own(mode, 2), PREFILL)),
    ),
    row('decode, two threads over one', '≥', same(1.6), times, (mode) =>
      ratio(time(own(mode, 1), DECODE), time(own(mode, 2), DECODE)),
    ),
    row('scan: log-log slope of time over length, off 1 by', '≤', same(0.03), twoDigits, (mode) => {
      const slope = report.slopes.find(({ suite, backend }) => suite === 'scan' && backend === own(mode, 1))?.slope;
      return slope === undefined ? undefined : { value: Math.abs(slope - 1), low: slope, high: slope };
    }),
    row('decode after 2^20 tokens over after 2^4: time', '≤', same(1.05), times, (mode) => {
      const ends = find(own(mode, 1), /^context\/decode-/).sort((a, b) => a.shape.context! - b.shape.context!);
      return ends.length < 2 ? undefined : ratio(ends.at(-1)!.time, ends[0]!.time);
    }),
  ];
  return rows.filter(({ cells }) => Object.values(cells).some(({ met }) => met !== undefined));
}

function row(
  label: string,
  relation: '≤' | '≥',
  goals: Goals,
  format: (value: number) => string,
  figureOf: (mode: Place) => Figure | undefined,
): TargetRow {
  const [plain, relaxed, revectorized] = goals;
  const goalOf: Readonly<Record<Place, number | undefined>> = { plain, relaxed, revectorized, chromium: relaxed };
  const cells = PLACES.flatMap((mode): [Place, TargetCell][] => {
    const goal = goalOf[mode];
    if (goal === undefined) return [];
    const figure = figureOf(mode);
    const goalText = `${relation} ${format(goal)}`;
    if (figure === undefined) return [[mode, { figure: 'not run', spread: '', goal: goalText, met: undefined }]];
    const { value, low, high } = figure;
    return [
      [
        mode,
        {
          figure: format(value),
          spread: low === high ? '' : `${format(low).replace(/ %$|×$/, '')}–${format(high)}`,
          goal: goalText,
          met: relation === '≤' ? value <= goal : value >= goal,
        },
      ],
    ];
  });
  return { label, cells: Object.fromEntries(cells) };
}

/** The ratio of two times; its spread is that of both, one against the other. */
function ratio(slower: TimeSummary | undefined, faster: TimeSummary | undefined): Figure | undefined {
  if (slower === undefined || faster === undefined) return undefined;
  return {
    value: slower.median / faster.median,
    low: slower.p10 / faster.p90,
    high: slower.p90 / faster.p10,
  };
}

function stateSteps({ batch = 1, length = 1, dim = 1, state = 1 }: Result['shape']): number {
  return batch * length * dim * state;
}

const on = (threads: number): string => (threads === 1 ? '1 thread' : `${threads} threads`);
const twoDigits = (value: number): string => value.toFixed(2);
const times = (value: number): string => `${value.toFixed(2)}×`;
const percent = (value: number): string => `${(value * 100).toFixed(0)} %`;
