/** What the charts show, in words. */
import type { Accuracy } from '@mamba/train';

/** `100 % right at lengths 8, 16 and 32, 97 % at longer ones`. */
export function rightWords(results: readonly Accuracy[], trained: readonly number[]): string {
  const longer = results.filter(({ length }) => !trained.includes(length));
  const own = results.filter(({ length }) => trained.includes(length));
  return `${percent(own)} right at ${trained.length > 1 ? 'lengths' : 'length'} ${list(trained)}, ${percent(longer)} at longer ones`;
}

/** `Right answers by length after step 40. 8, trained: 60 of 64; …`. */
export function describeAccuracy(
  step: number | undefined,
  results: readonly Accuracy[],
  trained: readonly number[],
): string {
  if (step === undefined) return 'Right answers by length: nothing is measured yet.';
  const parts = results.map(
    ({ length, right, answers }) => `${length}${trained.includes(length) ? ', trained' : ''}: ${right} of ${answers}`,
  );
  return `Right answers by length after step ${step}. ${parts.join('; ')}.`;
}

/** `Loss by step, of 40: 2.81 at first, 1.20 now; the lowest is 1.02.` The numbers are running means. */
export function describeLoss(losses: readonly number[], mean: number): string {
  if (losses.length === 0) return 'Loss by step: no step is done yet.';
  const means = runningMeans(losses, mean);
  const [first, last, lowest] = [means[0]!, means.at(-1)!, Math.min(...means)].map((loss) => loss.toFixed(2));
  return `Loss by step, of ${losses.length}: ${first} at first, ${last} now; the lowest is ${lowest}.`;
}

/** For each loss the mean of it and those before it, as many in all as `steps`. */
export function runningMeans(losses: readonly number[], steps: number): readonly number[] {
  let sum = 0;
  return losses.map((loss, index) => {
    sum += loss - (losses[index - steps] ?? 0);
    return sum / Math.min(index + 1, steps);
  });
}

function percent(results: readonly Accuracy[]): string {
  const [right, answers] = results.reduce(
    ([right, answers], found) => [right + found.right, answers + found.answers],
    [0, 0],
  );
  // Not rounded up, so that 100 % means all of them.
  return `${Math.floor((100 * right) / answers)} %`;
}

function list(values: readonly number[]): string {
  if (values.length === 1) return String(values[0]);
  return `${values.slice(0, -1).join(', ')} and ${values.at(-1)}`;
}
