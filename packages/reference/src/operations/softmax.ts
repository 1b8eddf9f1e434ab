/** `exp(x[v] - max) / Σ exp(x - max)` of one row */
export function softmax(row: Float64Array): Float64Array {
  const max = row.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
  const powers = row.map((value) => Math.exp(value - max));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}
