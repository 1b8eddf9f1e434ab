import type { Bounds, BoundsWatcher } from './bounds.ts';

const watchers = new Set<BoundsWatcher>();

/**
 * As in Node, but a page has no means to end its own work. What is counted, steps and sizes, is bounded here as well;
 * time is where somebody watches who can end all of this, as the page that a worker belongs to can.
 */
export function bounded<T>(bounds: Bounds, act: () => T): T {
  const ends = Array.from(watchers, (watcher) => watcher(bounds));
  try {
    return act();
  } finally {
    for (const end of ends) end();
  }
}

/** @returns ends the watch. */
export function watchBounds(watcher: BoundsWatcher): () => void {
  watchers.add(watcher);
  return () => void watchers.delete(watcher);
}
