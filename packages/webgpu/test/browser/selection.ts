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
 * - reach every value of every option in which the pipelines that only the browser has are specialised, and every pair
 *   of values of two options that Node's run takes in no shader of the same kernel;
 * and adds all others that take one of those pipelines and no new one: they bring the values that a rule is about.
 * `browser` has the pipelines of the checks that `node` was made of. Those that Node compiles for other checks alone
 * count as the browser's, so that too much is selected and not too little.
 */
export function selectForBrowser(browser: PipelinesOfChecks, node: PipelinesOfNode): ReadonlySet<string> {
  const candidates = [...browser];
  const chosen = cover(candidates, node);
  const compiled = new Set([...chosen].flatMap((id) => [...browser.get(id)!]));
  for (const [id, labels] of candidates) {
    const own = [...labels].some((label) => !node.labels.has(label));
    if (own && [...labels].every((label) => compiled.has(label))) chosen.add(id);
  }
  return chosen;
}

/** The pipelines of Node's run, and the pairs of options that they have, by kernel. */
export interface PipelinesOfNode {
  readonly labels: ReadonlySet<string>;
  readonly pairs: ReadonlySet<string>;
}

export function pipelinesOfNode(labels: ReadonlySet<string>): PipelinesOfNode {
  return { labels, pairs: new Set([...labels].flatMap((label) => pairsOf(label))) };
}

/**
 * What the pipelines of these checks show: shaders, and of pipelines that Node does not have, options and pairs of
 * options. A pair that Node's pipelines have is left out.
 */
export function shownBy(labels: Iterable<string>, node: PipelinesOfNode): ReadonlySet<string> {
  const shown = new Set<string>();
  for (const label of labels) {
    const [shader, ...options] = label.split(' ') as [string, ...string[]];
    shown.add(shader);
    if (node.labels.has(label)) continue;
    for (const option of options) shown.add(`${shader} ${option}`);
    for (const pair of pairsOf(label)) if (!node.pairs.has(pair)) shown.add(pair);
  }
  return shown;
}

/**
 * The pairs of options of a pipeline, with its kernel: the name of the shader up to the slash. What follows says how
 * lanes exchange values, among others, in which a browser differs from Node.
 */
function pairsOf(label: string): readonly string[] {
  const [shader, ...options] = label.split(' ') as [string, ...string[]];
  const kernel = shader.split('/', 1)[0]!;
  return options.flatMap((option, index) => options.slice(index + 1).map((other) => `${kernel} ${option} ${other}`));
}

/**
 * Takes the check that shows most for each new pipeline, until nothing is left that a check could show, and then drops
 * each check of which the others show everything.
 */
function cover(candidates: Candidates, node: PipelinesOfNode): Set<string> {
  const shows = new Map(candidates.map(([id, labels]) => [id, shownBy(labels, node)]));
  const missing = new Set([...shows.values()].flatMap((shown) => [...shown]));
  const chosen = new Set<string>();
  const compiled = new Set<string>();
  const worth = ([id, labels]: Candidates[number]): number => {
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
  for (const id of [...chosen]) {
    const others = new Set([...chosen].filter((other) => other !== id).flatMap((other) => [...shows.get(other)!]));
    if ([...shows.get(id)!].every((shown) => others.has(shown))) chosen.delete(id);
  }
  return chosen;
}

type Candidates = readonly (readonly [id: string, labels: ReadonlySet<string>])[];

/** What a run of a check costs, in compiled pipelines. */
const RUN = 0.2;

function count<T>(items: Iterable<T>, counts: (item: T) => boolean): number {
  let result = 0;
  for (const item of items) if (counts(item)) result++;
  return result;
}
