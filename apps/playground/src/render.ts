import { type ComponentChild, render } from 'preact';

/**
 * Shows a page, and returns a function to call after each change of what it shows. Changes may come faster than frames,
 * so they are shown once a frame.
 */
export function renderer(show: () => ComponentChild): () => void {
  const root = document.querySelector('#app')!;
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      render(show(), root);
    });
  };
}
