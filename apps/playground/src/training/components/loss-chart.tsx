import { useRef } from 'preact/hooks';
import { useRoom } from '../../components/use-room.ts';
import { describeLoss, runningMeans } from '../summary.ts';

interface LossChartProps {
  /** The loss of each step. */
  readonly losses: readonly number[];
  /** The number of all steps. */
  readonly steps: number;
  readonly unit: string;
  /** Steps of the running mean; 1 for none. */
  readonly mean: number;
  /** A loss to compare with. */
  readonly reference?: { readonly value: number; readonly label: string };
}

/** In CSS pixels. */
const HEIGHT = 200;
const LEFT = 34;
const RIGHT = 10;
const TOP = 10;
const BOTTOM = 24;
/** The narrowest chart that has room for its labels. */
const MIN_WIDTH = 220;
/** A reference that is drawn lower than this share of the height has no room for its label. */
const LEAST_SHARE = 0.2;
/** The most points of a line: those of more steps are means. */
const MOST_POINTS = 400;

/** The loss by step: its running mean, and faint behind it each loss. */
export function LossChart({ losses, steps, unit, mean, reference }: LossChartProps) {
  const svg = useRef<SVGSVGElement>(null);
  const width = Math.max(useRoom(svg), MIN_WIDTH);
  const last = Math.max(steps, losses.length, 1);
  const top = niceTop(Math.max(reference?.value ?? 0, ...thinned(losses).map(([, loss]) => loss)));
  const x = (step: number): number => LEFT + ((width - LEFT - RIGHT) * step) / last;
  const y = (loss: number): number => TOP + (HEIGHT - TOP - BOTTOM) * (1 - Math.min(loss, top) / top);
  const line = (values: readonly number[]): string =>
    thinned(values)
      .map(([step, value], index) => `${index === 0 ? 'M' : 'L'}${x(step).toFixed(1)} ${y(value).toFixed(1)}`)
      .join('');
  return (
    <figure class="chart">
      <figcaption>Loss, in {unit}</figcaption>
      <svg ref={svg} role="img" aria-label={describeLoss(losses, mean)} width={width} height={HEIGHT}>
        {[0, top / 2, top].map((tick) => (
          <g key={tick}>
            <line class="grid" x1={LEFT} x2={width - RIGHT} y1={y(tick)} y2={y(tick)} />
            <text class="tick" x={LEFT - 6} y={y(tick)} dy="0.35em" text-anchor="end">
              {Number(tick.toFixed(2))}
            </text>
          </g>
        ))}
        {steps > 0 &&
          [...new Set([0, Math.round(last / 2), last])].map((tick) => (
            <text
              key={tick}
              class="tick"
              x={x(tick)}
              y={HEIGHT - 6}
              text-anchor={tick === 0 ? 'start' : tick === last ? 'end' : 'middle'}
            >
              {tick === last ? `step ${tick}` : tick}
            </text>
          ))}
        {reference !== undefined && reference.value > LEAST_SHARE * top && (
          <>
            <line class="reference" x1={LEFT} x2={width - RIGHT} y1={y(reference.value)} y2={y(reference.value)} />
            <text class="tick" x={width - RIGHT} y={y(reference.value) + 14} text-anchor="end">
              {reference.label}: {reference.value.toFixed(2)}
            </text>
          </>
        )}
        {mean > 1 && <path class="each" d={line(losses)} />}
        <path class="mean" d={line(runningMeans(losses, mean))} />
      </svg>
    </figure>
  );
}

/** The end of the axis: the least of 1, 2, 3, 4, 6, 8 times a power of ten that is not below the largest loss. */
function niceTop(largest: number): number {
  if (largest <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(largest));
  return power * (([1, 2, 3, 4, 6, 8].find((factor) => factor * power >= largest) ?? 10) as number);
}

/** Points `[step, value]`, each of one step or of the mean of as many as make the points few enough. */
function thinned(values: readonly number[]): readonly (readonly [step: number, value: number])[] {
  const size = Math.ceil(values.length / MOST_POINTS) || 1;
  return Array.from({ length: Math.ceil(values.length / size) }, (_, index) => {
    const part = values.slice(index * size, (index + 1) * size);
    return [index * size + part.length, part.reduce((sum, value) => sum + value, 0) / part.length];
  });
}
