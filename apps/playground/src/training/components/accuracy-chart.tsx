import { useRef } from 'preact/hooks';
import { useRoom } from '../../components/use-room.ts';
import type { HeadsAccuracy } from '../heads.ts';
import { describeAccuracy } from '../summary.ts';

interface AccuracyChartProps {
  /** What was measured last; undefined before the first time. */
  readonly last: HeadsAccuracy | undefined;
  readonly trained: readonly number[];
}

/** In CSS pixels. */
const HEIGHT = 200;
const LEFT = 34;
const TOP = 22;
const BOTTOM = 24;
const MIN_WIDTH = 220;
/** The width of a bar, as a share of its place. */
const BAR = 0.62;

/** The share of right answers at each length: filled bars for lengths that are trained, outlined ones for others. */
export function AccuracyChart({ last, trained }: AccuracyChartProps) {
  const svg = useRef<SVGSVGElement>(null);
  const width = Math.max(useRoom(svg), MIN_WIDTH);
  const results = last?.results ?? [];
  const place = (width - LEFT) / Math.max(results.length, 1);
  const y = (share: number): number => TOP + (HEIGHT - TOP - BOTTOM) * (1 - share);
  return (
    <figure class="chart">
      <figcaption>Right answers in %, by length</figcaption>
      <svg
        ref={svg}
        role="img"
        aria-label={describeAccuracy(last?.step, results, trained)}
        width={width}
        height={HEIGHT}
      >
        {[0, 0.5, 1].map((tick) => (
          <g key={tick}>
            <line class="grid" x1={LEFT} x2={width} y1={y(tick)} y2={y(tick)} />
            <text class="tick" x={LEFT - 6} y={y(tick)} dy="0.35em" text-anchor="end">
              {100 * tick}
            </text>
          </g>
        ))}
        {results.map(({ length, right, answers }, index) => {
          const middle = LEFT + place * (index + 0.5);
          const share = right / answers;
          return (
            <g key={length}>
              <rect
                class={trained.includes(length) ? 'bar trained' : 'bar'}
                x={middle - (place * BAR) / 2}
                y={y(share)}
                width={place * BAR}
                height={y(0) - y(share)}
              />
              <text class="value" x={middle} y={y(share) - 5} text-anchor="middle">
                {Math.floor(100 * share)}
              </text>
              <text class="tick" x={middle} y={HEIGHT - 6} text-anchor="middle">
                {length}
              </text>
            </g>
          );
        })}
      </svg>
      <p class="key">
        <i class="trained" /> trained <i /> longer than trained
      </p>
    </figure>
  );
}
