import type { ChartView, VersusReport } from '@mamba/bench/versus';
import { useEffect, useRef } from 'preact/hooks';
import { Action } from '../../components/action.tsx';
import { useRoom } from '../../components/use-room.ts';
import { count } from '../../format.ts';
import { BACKEND, type Race } from '../race.ts';
import type { Showcase } from '../showcase.ts';
import { Failure } from './failure.tsx';
import { Scene } from './scene.tsx';

/** The time and the memory that a token takes, by Mamba and by attention, measured here. */
export function RaceScene({ showcase: { race } }: { readonly showcase: Showcase }) {
  const { running, phase, report, doing, share } = race;
  return (
    <Scene
      id="race"
      title="The last token takes as long as the first"
      tale={
        <>
          <p>
            A Transformer compares each new token with all those before it: <em>attention</em>. The longer the text, the
            longer each word takes. Mamba looks at its state, and at nothing else.
          </p>
          <p>
            Measure it here: one block of each, of about as many weights, one token after 64 to 4,096 others. Both are
            checked against a reference in double precision before they are timed.
          </p>
        </>
      }
    >
      <div class="actions">
        {running ? (
          <Action blocked={false} onClick={() => race.stop()}>
            {phase === 'stopping' ? 'Stop now' : 'Stop'}
          </Action>
        ) : (
          <button type="button" class="primary" onClick={() => race.start()}>
            {report === undefined ? 'Measure' : 'Measure again'}
          </button>
        )}
        {running ? (
          <div class="running">
            <progress aria-label="Measured" {...(share !== undefined && { value: share })} />
            <span class="hint">{doing}</span>
          </div>
        ) : (
          <span class="hint">{report === undefined ? 'It takes some seconds.' : ''}</span>
        )}
      </div>
      <Failure of={race} />
      <p class="verdict" role="status">
        {verdict(race)}
      </p>
      {report !== undefined && (
        <div class="charts">
          <Chart report={report} quantity="time" title="time a token" />
          <Chart report={report} quantity="memory" title="memory of what came before" />
        </div>
      )}
    </Scene>
  );
}

interface ChartProps {
  readonly report: VersusReport;
  readonly quantity: 'time' | 'memory';
  readonly title: string;
}

/** A plot of the comparison, by the component of the page that compares systems. */
function Chart({ report, quantity, title }: ChartProps) {
  const figure = useRef<HTMLElement>(null);
  const view = useRef<ChartView | undefined>(undefined);
  const room = useRoom(figure);
  useEffect(() => {
    const draw = (): void => view.current?.draw(report, { backend: BACKEND, measure: 'step', quantity, title });
    if (view.current !== undefined) {
      draw();
      return;
    }
    // What measures is loaded by now, and so is what draws.
    void import('@mamba/bench/versus').then((bench) => {
      // It may be gone again by now.
      if (figure.current === null) return;
      view.current ??= new bench.ChartView(figure.current);
      draw();
    });
  }, [report, room]);
  return <figure ref={figure} class="plot-figure" />;
}

/** What came out, in a sentence. */
function verdict(race: Race): string {
  const { report, phase, running } = race;
  if (running) return '';
  const [mamba, attention] = [timesOf(race, 'mamba'), timesOf(race, 'attention')];
  const [fewest, last] = [attention[0], attention.at(-1)];
  const [first, own] = [mamba[0], mamba.find(({ length }) => length === last?.length)];
  if (fewest === undefined || last === undefined || first === undefined || own === undefined || last === fewest) {
    const wrong = report?.agreements.find(({ status }) => status !== 'agrees');
    if (wrong !== undefined) return `Nothing is compared, since ${wrong.system} is not right here: ${wrong.reason}.`;
    return phase === 'stopped' ? 'Stopped before there was something to compare.' : '';
  }
  const growth = (from: number, to: number): string => `${(to / from).toFixed(1)} times as long`;
  return (
    `After ${count(last.length, 'token')}, attention takes ${growth(fewest.seconds, last.seconds)} for the next one ` +
    `as after ${fewest.length.toLocaleString('en')}. Mamba takes ${growth(first.seconds, own.seconds)}.` +
    (phase === 'stopped' ? ' It was stopped before the end.' : '')
  );
}

/** The times of a token after each length that was measured, by one of the systems. */
function timesOf({ report }: Race, system: string): readonly { readonly length: number; readonly seconds: number }[] {
  return (report?.points ?? []).flatMap((point) =>
    point.system === system && point.time !== undefined ? [{ length: point.length, seconds: point.time.median }] : [],
  );
}
