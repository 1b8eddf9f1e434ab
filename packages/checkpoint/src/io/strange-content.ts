import type { MambaError } from '@mamba/core';
import { damaged, quote } from '../errors.ts';

/** Bytes from a file's beginning that `strangeContent` looks at. */
export const SNIFFED = 512;

export interface StrangeContent {
  /** `page`: what a host answers that does not have the file; `pointer`: what Git keeps in the place of a large one. */
  readonly kind: 'page' | 'pointer';
  readonly error: MambaError;
}

/**
 * What stands in a file's place, by its first bytes; undefined where nothing speaks against its being the file itself.
 */
export function strangeContent(name: string, bytes: Uint8Array): StrangeContent | undefined {
  const text = new TextDecoder().decode(bytes.subarray(0, SNIFFED));
  if (POINTER.test(text)) {
    const size = /^size (\d+)$/m.exec(text)?.[1];
    const given = `a Git LFS pointer${size === undefined ? '' : `, to a file of ${size} bytes`}`;
    return { kind: 'pointer', error: damaged(name, given, 'the file itself', POINTER_REMEDY) };
  }
  if (!PAGE.test(text)) return undefined;
  const shown = quote(text.trim().replace(/\s+/g, ' ').slice(0, 60));
  return { kind: 'page', error: damaged(name, `a page (${shown})`, 'the file itself', PAGE_REMEDY) };
}

const POINTER = /^version https:\/\/(git-lfs\.github\.com|hawser\.github\.com)\/spec\//;
const POINTER_REMEDY = 'Run `git lfs pull` in the clone, or download the file itself.';

/** HTML, or the XML that object stores answer with; comments may come first. No JSON, weights or template begin so. */
const PAGE = /^\s*(<!--[\s\S]*?-->\s*)*<(!doctype|html|head|body|meta|title|script|\?xml)[\s>]/i;
const PAGE_REMEDY =
  'The host answers so where it has no such file: check the address, and whether it asks for a login.';
