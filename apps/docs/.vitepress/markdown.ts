// Markdown as this site needs it for those who do not see it.
import type { MarkdownOptions } from 'vitepress';

/** What VitePress's Markdown does not do: cells without a heading, code that scrolls, levels of headings in order. */
export const accessible: NonNullable<MarkdownOptions['config']> = (md) => {
  md.core.ruler.push('accessible', ({ tokens }) => {
    let level = 1;
    for (const [index, token] of tokens.entries()) {
      // The corner of a table is no heading.
      if (token.type === 'th_open' && tokens[index + 1]?.content === '') {
        token.tag = 'td';
        tokens[index + 2]!.tag = 'td';
      }
      // Indented code has no language, and so no box of its own that the keyboard can scroll.
      if (token.type === 'code_block') token.attrSet('tabindex', '0');
      if (token.type === 'heading_open') {
        level = Math.min(Number(token.tag.slice(1)), level + 1);
        token.tag = `h${level}`;
      }
      if (token.type === 'heading_close') token.tag = `h${level}`;
    }
  });
};
