/** Distributions that several properties share. */
import fc from 'fast-check';

/** An extent from 1 to max. */
export const extent = (max: number) => fc.integer({ min: 1, max });
export const seeds = fc.integer({ min: 0, max: 2 ** 31 - 1 });
export const flag = fc.boolean();
/** A shape of rank 1 to `rank`, with extents from 1 to `max`. */
export const shape = (rank: number, max: number) => fc.array(extent(max), { minLength: 1, maxLength: rank });
