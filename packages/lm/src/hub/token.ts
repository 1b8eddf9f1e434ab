import { invalid } from '@mamba/core';

/**
 * A token as people have it: with a newline at its end, in quotes, after `Bearer`. Undefined where nothing is left.
 * @throws MambaError `invalid-argument`, which does not show it.
 */
export function cleanToken(text: string): string | undefined {
  const token = text
    .replace(/[\r\n]/g, '')
    .trim()
    .replace(/^(["'])(.*)\1$/, '$2')
    .replace(/^bearer\s+/i, '')
    .trim();
  if (!/^[\x21-\x7e]*$/.test(token))
    throw invalid('hub.token', 'one with blanks or letters outside ASCII', 'a token as the hub gives it, such as hf_…');
  return token || undefined;
}
