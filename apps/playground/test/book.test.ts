import { expect, test } from 'vitest';
import { bookOf } from '../src/book.ts';

test.each([300, 10_000, 50_000])('a text of about %i tokens', async (tokens) => {
  const encode = async (text: string) => text.split(/\s+/).map((_, index) => index);
  const { length } = await encode(await bookOf({ encode }, tokens));
  expect(Math.abs(length - tokens)).toBeLessThan(20 + tokens / 200);
});
