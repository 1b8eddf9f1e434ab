/** Random orthogonal projections, FAVOR+ (arXiv 2009.14794, section 2.3). */
import { Random } from '../shared/random.ts';

/**
 * A projection `[features, headDim]` whose rows are orthogonal within each group of headDim rows, and as long as normal
 * vectors are. A seed gives the same values on every machine.
 */
export function orthogonalProjection(features: number, headDim: number, seed: number): Float32Array {
  const random = new Random(seed);
  const rows: Float64Array[] = [];
  while (rows.length < features)
    rows.push(...orthogonalRows(random, Math.min(headDim, features - rows.length), headDim));
  const projection = new Float32Array(features * headDim);
  for (const [index, row] of rows.entries()) {
    const length = Math.hypot(...normals(random, headDim));
    projection.set(
      row.map((value) => value * length),
      index * headDim,
    );
  }
  return projection;
}

/** Rows of length 1 that are orthogonal to one another, by Gram and Schmidt's method. */
function orthogonalRows(random: Random, count: number, width: number): Float64Array[] {
  const rows: Float64Array[] = [];
  while (rows.length < count) {
    const row = normals(random, width);
    for (const other of rows) {
      const share = row.reduce((sum, value, index) => sum + value * other[index]!, 0);
      for (let index = 0; index < width; index++) row[index]! -= share * other[index]!;
    }
    const length = Math.hypot(...row);
    // A row that is nearly a sum of the others is drawn again.
    if (length > 1e-6) rows.push(row.map((value) => value / length));
  }
  return rows;
}

function normals(random: Random, count: number): Float64Array {
  return Float64Array.from({ length: count }, () => random.normal());
}
