import { expect, it } from 'vitest';
import { WordWrap } from './word-wrap.ts';

const TEXT =
  'In the beginning God created the heaven and the earth.\nAnd the earth was without form, and void; and darkness.';

it.each([1, 2, 3, 5, 7, 1000])('gives the same lines in pieces of %i characters', (size) => {
  const wrap = new WordWrap({ width: 20, indent: '  ', column: 12 });
  let out = '';
  for (let start = 0; start < TEXT.length; start += size) out += wrap.push(TEXT.slice(start, start + size));
  out += wrap.end();
  expect(out.split('\n')).toEqual([
    'In the',
    '  beginning God',
    '  created the heaven',
    '  and the earth.',
    '  And the earth was',
    '  without form, and',
    '  void; and darkness.',
  ]);
});

it('continues the word that the cursor stands behind', () => {
  const wrap = new WordWrap({ width: 20, indent: '', column: 5 });
  expect(wrap.push('s and more ') + wrap.end()).toBe('s and more');
});
