import type { ModelConfig } from '@mamba/core';
import type { Branch, TokenTime } from '../branch.ts';
import { Curve, type Line, type Stretch } from '../curves/curve.tsx';
import { MemoryCurve, MemoryNote } from '../curves/memory-curve.tsx';
import { count } from '../format.ts';

interface LiveCurvesProps {
  readonly branch: Branch;
  readonly config: ModelConfig;
}

/** Time a token and memory over the tokens of a branch, as they come. */
export function LiveCurves({ branch, config }: LiveCurvesProps) {
  const { length, times } = branch;
  const state = branch.session.bytes;
  const all: readonly Line[] = [
    { name: 'reading', kind: 'second', stretches: smooth(times, 'read') },
    { name: 'writing', kind: 'first', stretches: smooth(times, 'written') },
  ];
  // Where looks had the worker for themselves, nothing may have been measured yet.
  const lines = all.filter(({ stretches }) => stretches.length > 0);
  // A session tells the size of its state once it has one.
  if (length < 2 || state === 0) return null;
  return (
    <section class="curves" aria-label="Over the tokens of this branch">
      {lines.length > 0 && (
        <Curve
          title="Time a token"
          description={`Milliseconds a token over ${count(length, 'token')}, measured.`}
          lines={lines}
          formatX={(x) => count(Math.round(x), 'token')}
          formatY={(y) => `${Number(y.toPrecision(2))} ms`}
        />
      )}
      <MemoryCurve {...{ config, length, state }} />
      <MemoryNote {...{ config, state }} />
    </section>
  );
}

/** Points of a line, at most. */
const POINTS = 80;
/** Tokens come from the worker several at a time, so a point has the mean of this many, at least. */
const AVERAGED = { read: 1, written: 16 } as const;

/** The mean times of one kind, in a stretch of points for each run of tokens without another kind between them. */
function smooth(times: readonly TokenTime[], kind: TokenTime['kind']): readonly Stretch[] {
  const averaged = Math.max(AVERAGED[kind], Math.ceil(times.length / POINTS));
  return runsOf(times, kind)
    .map((run) => {
      const points: [number, number][] = [];
      for (let end = averaged; end <= run.length; end += averaged) {
        const part = run.slice(end - averaged, end);
        points.push([part.at(-1)!.at, part.reduce((sum, { milliseconds }) => sum + milliseconds, 0) / averaged]);
      }
      return points;
    })
    .filter((points) => points.length > 1);
}

function runsOf(times: readonly TokenTime[], kind: TokenTime['kind']): readonly (readonly TokenTime[])[] {
  const runs: TokenTime[][] = [];
  for (const [index, time] of times.entries()) {
    if (time.kind !== kind) continue;
    if (times[index - 1]?.kind !== kind) runs.push([]);
    runs.at(-1)!.push(time);
  }
  return runs;
}
