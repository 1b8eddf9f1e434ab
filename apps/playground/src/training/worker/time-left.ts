/**
 * Measures a run of steps from now on.
 * @param first The number of steps that were done before.
 * @param steps The number of all steps.
 * @returns the seconds that the steps after a step will take, at the mean pace of this run.
 */
export function timeLeft(first: number, steps: number): (step: number) => number {
  const start = performance.now();
  return (step) => ((performance.now() - start) / 1000 / (step - first)) * (steps - step);
}
