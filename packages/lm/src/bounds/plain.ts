import type { Bounds } from './bounds.ts';

/**
 * As in Node, without a limit of time, which pages have no means for: what is counted, steps and sizes, is bounded
 * there as well.
 */
export function bounded<T>(_: Bounds, act: () => T): T {
  return act();
}
