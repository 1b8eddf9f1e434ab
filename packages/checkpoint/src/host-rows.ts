import type { HostRows, HostTensor, Shape } from '@mamba/core';
import { invalid } from '@mamba/core/toolkit';

/**
 * A matrix of a file, to be read some rows at a time.
 * @throws MambaError `invalid-argument` where the tensor is no matrix of floats.
 */
export function hostRows(
  origin: string,
  { dtype, shape }: { readonly dtype: HostTensor['dtype']; readonly shape: Shape },
  read: (first: number, count: number) => Promise<HostTensor>,
): HostRows {
  const [rows] = shape as [number];
  if (dtype === 'int32' || shape.length !== 2)
    throw invalid(origin, `${dtype} [${shape.join(', ')}]`, 'a matrix of floats', 'Read it as a whole.');
  return {
    dtype,
    shape,
    async rows(first, count) {
      const within = Number.isSafeInteger(first) && Number.isSafeInteger(count) && first >= 0 && count >= 1;
      if (!within || first + count > rows)
        throw invalid(`${origin}.rows`, `${count} rows from ${first}`, `rows within ${rows}`);
      return read(first, count);
    },
  };
}
