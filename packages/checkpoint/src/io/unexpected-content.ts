import type { MambaError } from '@mamba/core';
import { damaged, quote } from '../errors.ts';

/** Number of bytes from the beginning of a file that `unexpectedContent` examines. */
export const SNIFF_BYTES = 512;

export interface UnexpectedContent {
  /**
   * `page`: a page that a host sends in place of a missing file. `pointer`: the pointer that Git LFS keeps in place of
   * a large file.
   */
  readonly kind: 'page' | 'pointer';
  readonly error: MambaError;
}

/**
 * The kind of content that is in a file's place, by its first bytes; undefined where it seems to be the file itself.
 */
export function unexpectedContent(name: string, bytes: Uint8Array): UnexpectedContent | undefined {
  const text = new TextDecoder().decode(bytes.subarray(0, SNIFF_BYTES));
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

/**
 * The beginning of HTML, or of the XML that object stores send, after comments. No JSON, weights or template begins
 * like this.
 */
const PAGE = /^\s*(<!--[\s\S]*?-->\s*)*<(!doctype|html|head|body|meta|title|script|\?xml)[\s>]/i;
const PAGE_REMEDY =
  'The host answers so where it has no such file: check the address, and whether it asks for a login.';
