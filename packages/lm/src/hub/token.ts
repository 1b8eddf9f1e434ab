import { invalid } from '@mamba/core';

/**
 * Removes what often surrounds a copied token: newlines, blanks, quotes and `Bearer`. Undefined if nothing is left.
 * @throws MambaError `invalid-argument` for characters that no token has; the message does not show the token.
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
