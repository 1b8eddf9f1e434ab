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

function rate(times: readonly (readonly [time: number, tokens: number])[]): number | undefined {
  const [[begin, first], [end, last]] = [times[0]!, times.at(-1)!];
  return end > begin ? (1000 * (last - first)) / (end - begin) : undefined;
}
