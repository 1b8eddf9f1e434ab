import { stripVTControlCharacters } from 'node:util';
import stringWidth from 'string-width';
import { describe, expect, it } from 'vitest';
import { StyledText } from './styled-text.ts';

/** Writes pieces, and returns the lines that a terminal shows. */
function linesOf(pieces: readonly string[], columns: number): string[] {
  const text = new StyledText({ columns: () => columns, colour: false });
  return (pieces.map((piece) => text.push(piece, 'model')).join('') + text.end()).split('\n');
}

describe('StyledText', () => {
  it('breaks lines between words, wherever the pieces of a text end', () => {
    const text = 'And it came to pass in those days, that the king commanded.\n\nAnd they went.';
    const whole = linesOf([text], 20);
    expect(whole).toEqual([
      'And it came to pass ',
      'in those days, that ',
      'the king commanded.',
      '',
      'And they went.',
    ]);
    for (const size of [1, 2, 3, 7]) expect(linesOf(text.match(new RegExp(`[^]{1,${size}}`, 'g'))!, 20)).toEqual(whole);
    expect(whole.join('').replaceAll(/\s/g, '')).toBe(text.replaceAll(/\s/g, ''));
  });

  it('measures what is two columns wide, joined or combining', () => {
    expect(linesOf(['太初有道，道與神同在'], 10)).toEqual(['太初有道，', '道與神同在']);
    for (const text of ['e\u0301'.repeat(30), 'a 👩‍👩‍👧 b 👩‍👩‍👧 c '.repeat(4), '한국어 글 '.repeat(6)])
      for (const line of linesOf([...text], 60)) expect(stringWidth(line)).toBeLessThanOrEqual(60);
    expect(linesOf(['e\u0301'.repeat(10)], 10)).toEqual(['e\u0301'.repeat(10)]);
  });

  it('lets the terminal break a word that is longer than a line, and goes on behind it', () => {
    expect(linesOf(['abcdefghijkl mn opqrs'], 10)).toEqual(['abcdefghijkl mn ', 'opqrs']);
  });

  it('dims the prompt and colours what is written, also within a word', () => {
    const text = new StyledText({ columns: () => 80, colour: true });
    const written = text.push('And Mos', 'prompt') + text.push('es said', 'model') + text.end();
    expect(written).toBe('\x1b[2mAnd\x1b[22m \x1b[2mMos\x1b[22m\x1b[35mes\x1b[39m \x1b[35msaid\x1b[39m');
    expect(stripVTControlCharacters(written)).toBe('And Moses said');
  });

  it('leaves no control character that would command the terminal', () => {
    expect(linesOf(['a\x1b]0;title\x07b\x9b2Jc\r\nd\re\tf'], 80)).toEqual([
      'a\ufffd]0;title\ufffdb\ufffd2Jc',
      'd\ufffde\tf',
    ]);
  });
});
