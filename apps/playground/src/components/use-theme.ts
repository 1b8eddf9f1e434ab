import type { Theme } from '../selection/colour.ts';
import { useMedia } from './use-media.ts';

/** Returns the theme of the system, for parts that CSS does not draw. */
export function useTheme(): Theme {
  return useMedia('(prefers-color-scheme: dark)') ? 'dark' : 'light';
}
