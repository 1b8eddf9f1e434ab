import { bytesSource } from '@mamba/checkpoint';
import { byteTokens, type TokenSource } from '../src/data/tokens.ts';

/** A text as tokens. */
export function textTokens(text: string): TokenSource {
  return byteTokens(bytesSource(new TextEncoder().encode(text)));
}
