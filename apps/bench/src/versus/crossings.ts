/** Where Mamba begins to need less than another system: computed from what was measured, not drawn by eye. */
import { type Crossing, MEASURES, type Measure, type VersusPoint } from '../schema/versus.ts';
import { BASELINE } from './systems.ts';

/** What a measured point needs of time, or of memory: of a step its state, of the others their peak. */
export function needOf({ measure, time, memory }: VersusPoint, of: Crossing['of']): number | undefined {
  if (of === 'time') return time?.median;
  return measure === 'step' ? memory?.state : memory?.peak;
}

/** What a system needed at each length that it was measured at, from the shortest on. */
export function needsOf(
  points: readonly VersusPoint[],
  key: {
    readonly system: string;
    readonly backend: string;
    readonly measure: Measure;
    readonly of: Crossing['of'];
  },
): readonly { readonly length: number; readonly need: number }[] {
  return points
    .filter(
      ({ system, backend, measure }) => system === key.system && backend === key.backend && measure === key.measure,
    )
    .flatMap((point) => {
      const need = needOf(point, key.of);
      return need === undefined || need === 0 ? [] : [{ length: point.length, need }];
    })
    .toSorted((a, b) => a.length - b.length);
}

/** A crossing for every other system, backend, measure and need that both have a length of. */
export function crossingsOf(points: readonly VersusPoint[]): Crossing[] {
  const backends = [...new Set(points.map(({ backend }) => backend))];
  const others = [...new Set(points.map(({ system }) => system))].filter((system) => system !== BASELINE);
  return backends.flatMap((backend) =>
    MEASURES.flatMap((measure) =>
      (['time', 'memory'] as const).flatMap((of) =>
        others.flatMap((against) => {
          const crossing = crossingOf(points, { backend, measure, of, against });
          return crossing === undefined ? [] : [crossing];
        }),
      ),
    ),
  );
}

function crossingOf(
  points: readonly VersusPoint[],
  key: { backend: string; measure: Measure; of: Crossing['of']; against: string },
): Crossing | undefined {
  const needs = (system: string): Map<number, number> =>
    new Map(needsOf(points, { ...key, system }).map(({ length, need }) => [length, need]));
  const [own, other] = [needs(BASELINE), needs(key.against)];
  const common = [...own.keys()].filter((length) => other.has(length));
  const longest = common.at(-1);
  if (longest === undefined) return undefined;
  const advantage = (length: number): number => Math.log(other.get(length)! / own.get(length)!);
  const alone = [...own.keys()].find((length) => length > longest);
  const rest = {
    length: longest,
    ratio: Math.exp(advantage(longest)),
    ...(alone !== undefined && { alone }),
  };
  if (advantage(longest) <= 0) return { ...key, less: 'not', ...rest };
  const lastWorse = common.findLastIndex((length) => advantage(length) <= 0);
  if (lastWorse < 0) return { ...key, less: 'always', ...rest };
  const [before, after] = [common[lastWorse]!, common[lastWorse + 1]!];
  return { ...key, less: 'from', from: crossingBetween(before, after, advantage), ...rest };
}

/** Between two lengths, the length at which the lines of a log-log plot cross. */
function crossingBetween(before: number, after: number, advantage: (length: number) => number): number {
  const share = advantage(before) / (advantage(before) - advantage(after));
  return before * (after / before) ** share;
}
