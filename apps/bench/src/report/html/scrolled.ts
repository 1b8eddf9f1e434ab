import { escapeHtml } from './escape.ts';

/** A table that may be wider than the page: it scrolls by itself, by the keyboard as well. */
export function scrolled(label: string, table: string): string {
  return `<div class="scroll" tabindex="0" role="group" aria-label="${escapeHtml(label)}">${table}</div>`;
}
