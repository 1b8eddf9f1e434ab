import type { Bounds, BoundsWatcher } from './bounds.ts';

const watchers = new Set<BoundsWatcher>();

/**
 * The variant for browsers, which cannot interrupt their own code: it only tells the watchers when code begins and
 * ends. The page that owns a worker watches, and terminates the worker when the limit is exceeded.
 */
export function bounded<T>(bounds: Bounds, act: () => T): T {
  const ends = Array.from(watchers, (watcher) => watcher(bounds));
  try {
    return act();
  } finally {
    for (const end of ends) end();
  }
}

/** @returns a function that ends the watch. */
export function watchBounds(watcher: BoundsWatcher): () => void {
  watchers.add(watcher);
  return () => void watchers.delete(watcher);
}
