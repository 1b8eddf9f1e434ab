/**
 * Which checks of the suite run in a browser. Node's run takes every check, with the limits and features of its
 * adapter. A browser grants less, so that some of its pipelines are others. The selection follows from the pipelines
 * that each check takes, so it changes with the kernels.
 */

/** The labels of the pipelines that each check takes, by the check's id. */
export type PipelinesOfChecks = ReadonlyMap<string, ReadonlySet<string>>;

/** Checks that take long on SwiftShader, whose kernels others reach with smaller calls. Only Node's run has them. */
export const LONG_CHECKS = [
  // The example page of browser.test.ts generates from it, and must give the text that Node gives.
  'checkpoint/kjv-mamba',
  'checkpoint/induction-heads',
  'properties/',
  'invariants/upload-rows/',
  // What a call leaves behind is counted on the host, which does the same in a browser.
  'invariants/calls/',
] as const;

/**
 * Chooses checks for a browser that together
 * - reach every shader, for the sake of the browser's compiler of shaders;
 * - reach every value of every option, and every pair of values of two options, in which the pipelines that only the
 *   browser has are specialised;
 * and adds all others that take one of those pipelines and no new one: they bring the values that a rule is about.
 * `browser` and `node` have the pipelines of the same checks. Those that Node compiles for other checks alone count as
 * the browser's, so that too much is selected and not too little.
 */
export function selectForBrowser(browser: PipelinesOfChecks, node: PipelinesOfChecks): ReadonlySet<string> {
  const ofNode = new Set([...node.values()].flatMap((labels) => [...labels]));
  const candidates = [...browser];
  const { chosen, compiled } = cover(candidates, ofNode);
  for (const [id, labels] of candidates) {
    const own = [...labels].some((label) => !ofNode.has(label));
    if (own && [...labels].every((label) => compiled.has(label))) chosen.add(id);
  }
  return chosen;
}

/** What the pipelines of these checks show: shaders, and pairs of options of pipelines that Node does not have. */
export function shownBy(labels: Iterable<string>, ofNode: ReadonlySet<string>): ReadonlySet<string> {
  const shown = new Set<string>();
  for (const label of labels) {
    const [shader, ...options] = label.split(' ') as [string, ...string[]];
    shown.add(shader);
    if (ofNode.has(label)) continue;
    options.forEach((option, index) => {
      shown.add(`${shader} ${option}`);
      for (const other of options.slice(index + 1)) shown.add(`${shader} ${option} ${other}`);
    });
  }
  return shown;
}

/** Takes the check that shows most for each new pipeline, until nothing is left that a check could show. */
function cover(
  candidates: readonly (readonly [id: string, labels: ReadonlySet<string>])[],
  ofNode: ReadonlySet<string>,
): { readonly chosen: Set<string>; readonly compiled: ReadonlySet<string> } {
  const shows = new Map(candidates.map(([id, labels]) => [id, shownBy(labels, ofNode)]));
  const missing = new Set([...shows.values()].flatMap((shown) => [...shown]));
  const chosen = new Set<string>();
  const compiled = new Set<string>();
  const worth = ([id, labels]: (typeof candidates)[number]): number => {
    const gained = count(shows.get(id)!, (shown) => missing.has(shown));
    return gained / (RUN + count(labels, (label) => !compiled.has(label)));
  };
  while (missing.size > 0) {
    const [id, labels] = candidates.reduce(
      ({ best, most }, candidate) => {
        const gain = worth(candidate);
        return gain > most ? { best: candidate, most: gain } : { best, most };
      },
      { best: candidates[0]!, most: 0 },
    ).best;
    chosen.add(id);
    for (const label of labels) compiled.add(label);
    for (const shown of shows.get(id)!) missing.delete(shown);
  }
  return { chosen, compiled };
}

/** What a run of a check costs, in compiled pipelines. */
const RUN = 0.2;

function count<T>(items: Iterable<T>, counts: (item: T) => boolean): number {
  let result = 0;
  for (const item of items) if (counts(item)) result++;
  return result;
}
