import { expect, it } from 'vitest';
import { hasColour, widthOf } from './terminal.ts';

it.each([
  ['a terminal', true, {}, true],
  ['a pipe', false, {}, false],
  ['a terminal with NO_COLOR', true, { NO_COLOR: '1' }, false],
  ['an empty NO_COLOR, which is none', true, { NO_COLOR: '' }, true],
  ['a terminal that has none', true, { TERM: 'dumb' }, false],
  ['FORCE_COLOR on a pipe', false, { FORCE_COLOR: '1' }, true],
  ['FORCE_COLOR beside NO_COLOR', false, { FORCE_COLOR: '1', NO_COLOR: '1' }, true],
  ['FORCE_COLOR=0 on a terminal', true, { FORCE_COLOR: '0' }, false],
])('colours for %s', (_, isTTY, environment, expected) => {
  expect(hasColour({ isTTY }, environment)).toBe(expected);
});

it('takes 80 columns where a terminal tells none, and no limit for a file', () => {
  expect(widthOf({ isTTY: true, columns: 0 })).toBe(80);
  expect(widthOf({ isTTY: true, columns: 40 })).toBe(40);
  expect(widthOf({})).toBeUndefined();
});
