import { count, duration } from './format.ts';

/** What was done with the last text: how much of it, and how fast. */
export interface Pace {
  readonly what: 'read' | 'written';
  readonly tokens: number;
  /** Tokens in all, or at most. */
  readonly total: number;
  /** Tokens a second, over the last tokens; undefined before there are two times. */
  readonly perSecond: number | undefined;
}

/** Times over which the speed is averaged. */
const WINDOW = 32;

/** Gives a function that is told how many tokens are done, and returns the pace. */
export function pacer(what: Pace['what'], total: number): (tokens: number) => Pace {
  const times: [time: number, tokens: number][] = [];
  return (tokens) => {
    times.push([performance.now(), tokens]);
    if (times.length > WINDOW) times.shift();
    return { what, tokens, total, perSecond: rate(times) };
  };
}

/** `1,024 of 50,000 tokens read · 3,100 tokens/s · 16 s left`. */
export function paceWords({ what, tokens, total, perSecond }: Pace, running: boolean): string {
  const parts = [
    `${running ? `${tokens.toLocaleString('en')} of ${count(total, 'token')}` : count(tokens, 'token')} ${what}`,
  ];
  if (perSecond !== undefined) parts.push(speedWords(perSecond));
  if (running && perSecond !== undefined && perSecond > 0) parts.push(`${duration((total - tokens) / perSecond)} left`);
  return parts.join(' · ');
}

/** `3,100 tokens/s`. */
export function speedWords(perSecond: number): string {
  return `${perSecond.toLocaleString('en', { maximumFractionDigits: perSecond < 10 ? 1 : 0 })} tokens/s`;
}

function rate(times: readonly (readonly [time: number, tokens: number])[]): number | undefined {
  const [[begin, first], [end, last]] = [times[0]!, times.at(-1)!];
  return end > begin ? (1000 * (last - first)) / (end - begin) : undefined;
}
