import { expect, test } from 'vitest';
import { type Shader, textOf } from './shader.ts';

const shader = (code: string): Shader => ({
  stem: 'test',
  bindings: [],
  optional: [],
  uniforms: { size: 0, fields: [] },
  overrides: [],
  constants: ['N'],
  links: { default: code },
});

test('loops that ask for it are written out, with the constants of the call, from the outside in', () => {
  const text = textOf(
    shader(`const N: u32 = 1u; // constant
fn main() {
  for (var i = 0u; i < N; i++) { // unroll
    for (var j = 0u; j < 2u; j++) { // unroll
      sums[2u * i + j] = index;
    }
  }
  for (var i = 0u; i < N; i++) {
    kept(i);
  }
}`),
    { constants: { N: 2 } },
  );
  expect(text.match(/sums.*/g)).toEqual([
    'sums[2u * 0u + 0u] = index;',
    'sums[2u * 0u + 1u] = index;',
    'sums[2u * 1u + 0u] = index;',
    'sums[2u * 1u + 1u] = index;',
  ]);
  expect(text).toContain('const N: u32 = 2u;');
  expect(text).toContain('for (var i = 0u; i < N; i++) {\n    kept(i);');
  expect(text.split('{')).toHaveLength(text.split('}').length);
});
