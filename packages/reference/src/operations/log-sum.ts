/**
 * `log Σ_v exp(row[v] - max)` of one row, with max, its largest value. The first value equal to max adds 1 to the sum.
 * The logarithm is log1p of the rest, which may be smaller than the rounding of 1 in float64.
 */
export function logSum(row: Float64Array): { readonly max: number; readonly log: number } {
  const max = row.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
  const largest = row.indexOf(max);
  let others = 0;
  for (const [v, value] of row.entries()) if (v !== largest) others += Math.exp(value - max);
  return { max, log: Math.log1p(others) };
}
