import { useEffect, useState } from 'preact/hooks';
import type { Theme } from '../selection/colour.ts';

const query = matchMedia('(prefers-color-scheme: dark)');
const current = (): Theme => (query.matches ? 'dark' : 'light');

/** Returns the theme of the system, for parts that CSS does not draw. */
export function useTheme(): Theme {
  const [theme, setTheme] = useState(current);
  useEffect(() => {
    const change = (): void => setTheme(current());
    query.addEventListener('change', change);
    return () => query.removeEventListener('change', change);
  }, []);
  return theme;
}
