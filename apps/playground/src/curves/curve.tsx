import { useRef } from 'preact/hooks';
import { useRoom } from '../components/use-room.ts';

export type Stretch = readonly (readonly [x: number, y: number])[];

export interface Line {
  readonly name: string;
  /** Each with its points by x, rising. The line has a gap between two stretches. */
  readonly stretches: readonly Stretch[];
  /** How it is drawn. */
  readonly kind: 'first' | 'second' | 'dashed';
}

interface CurveProps {
  readonly title: string;
  /** What the picture shows, in words. */
  readonly description: string;
  readonly lines: readonly Line[];
  readonly formatX: (x: number) => string;
  readonly formatY: (y: number) => string;
}

const HEIGHT = 132;
const MARGIN = { left: 58, right: 8, top: 8, bottom: 22 };

/** A small picture of lines over a common axis, both from zero on. It knows nothing of what they mean. */
export function Curve({ title, description, lines, formatX, formatY }: CurveProps) {
  const picture = useRef<SVGSVGElement>(null);
  const width = Math.max(220, useRoom(picture));
  const all = lines.flatMap(({ stretches }) => stretches.flat());
  const most = all.reduce(([x, y], point) => [Math.max(x, point[0]), Math.max(y, point[1])], [1, 1e-6]);
  const [mostX, mostY] = [most[0]!, rounded(most[1]!)];
  const x = (value: number): number => MARGIN.left + (value / mostX) * (width - MARGIN.left - MARGIN.right);
  const y = (value: number): number => HEIGHT - MARGIN.bottom - (value / mostY) * (HEIGHT - MARGIN.top - MARGIN.bottom);
  const path = (points: Stretch): string =>
    points.map(([at, value], index) => `${index === 0 ? 'M' : 'L'}${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join('');
  return (
    <figure class="curve">
      <figcaption>
        <strong>{title}</strong>
        {lines.map(({ name, kind }) => (
          <span key={name} class={`key ${kind}`}>
            {name}
          </span>
        ))}
      </figcaption>
      <svg ref={picture} viewBox={`0 0 ${width} ${HEIGHT}`} width={width} height={HEIGHT} role="img">
        <title>{description}</title>
        {[0, mostY / 2, mostY].map((value) => (
          <g key={value} class="grid">
            <line x1={MARGIN.left} x2={width - MARGIN.right} y1={y(value)} y2={y(value)} />
            <text x={MARGIN.left - 6} y={y(value) + 4} text-anchor="end">
              {formatY(value)}
            </text>
          </g>
        ))}
        <text class="axis" x={MARGIN.left} y={HEIGHT - 5}>
          0
        </text>
        <text class="axis" x={width - MARGIN.right} y={HEIGHT - 5} text-anchor="end">
          {formatX(mostX)}
        </text>
        {lines.map(({ name, kind, stretches }) => (
          <path key={name} class={`line ${kind}`} d={stretches.map(path).join('')} />
        ))}
      </svg>
    </figure>
  );
}

/** The next of 1, 2 and 5 times a power of ten. */
function rounded(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * ([1, 2, 5, 10].find((step) => step * power >= value) ?? 10);
}
