import { spawnSync } from 'node:child_process';
import process from 'node:process';
import { expect, test } from 'vitest';
import { lastWords } from './child-output.ts';

test('an uncaught error is the last word, not the stack and the version that Node prints behind it', () => {
  const program = "console.error('begun'); class MambaError extends Error {}; throw new MambaError('no such file: x');";
  const { stderr } = spawnSync(process.execPath, ['--eval', program], { encoding: 'utf8' });
  expect(stderr.trim().split('\n').at(-1)).toContain('Node.js');
  expect(lastWords(stderr)).toContain('Error: no such file: x');
});

test('otherwise the last line is', () => {
  expect(lastWords('reading\nout of memory\n')).toBe('out of memory');
  expect(lastWords('')).toBe('');
});
