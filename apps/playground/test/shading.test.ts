import { describe, expect, it } from 'vitest';
import { pieces } from '../src/components/shaded-text.tsx';
import { linkOf, settingOf } from '../src/link.ts';
import { align } from '../src/selection/align.ts';

describe('align', () => {
  it('finds the tokens that the text ends with', () => {
    expect(align('In the end', ['In', ' the', ' end'])).toEqual({ first: 0, start: 0, end: 10 });
    expect(align('In the end', ['<0>', ' the', ' end'])).toEqual({ first: 1, start: 2, end: 10 });
    expect(align('In the end', ['In', 'x'])).toEqual({ first: 2, start: 10, end: 10 });
  });
});

describe('pieces of a shaded text', () => {
  const runs = [
    { kind: 'read', text: 'In the' },
    { kind: 'written', text: ' end.' },
  ];
  it('are the runs where nothing is shaded', () => {
    expect(pieces(runs, undefined).map(({ kind, text, token }) => [kind, text, token])).toEqual([
      ['read', 'In the', undefined],
      ['written', ' end.', undefined],
    ]);
  });

  it('are cut at tokens and at runs, and a token may lie in two of them', () => {
    const shading = { start: 2, labels: [' t', 'he e', 'nd'], shades: [0, 0.5, 1], first: 4 };
    expect(pieces(runs, shading).map(({ kind, text, token, shade }) => [kind, text, token, shade])).toEqual([
      ['read', 'In', undefined, 0],
      ['read', ' t', 4, 0],
      ['read', 'he', 5, 0.5],
      ['written', ' e', 5, 0.5],
      ['written', 'nd', 6, 1],
      ['written', '.', undefined, 0],
    ]);
  });
});

describe('a link', () => {
  it('holds what it was made of', () => {
    const { fields } = settingOf('');
    const setting = {
      source: { kind: 'hub', id: 'owner/name' },
      weights: 'q8',
      prompt: 'a & b\n#c',
      fields: { ...fields, seed: '7', topP: '' },
    } as const;
    const { hash } = new URL(linkOf(setting, 'https://example.org/page/?x#old'));
    expect(settingOf(hash)).toEqual(setting);
  });

  it('leaves out what it does not know', () => {
    expect(settingOf('#weights=q1&seed=x&more=1')).toEqual({ ...settingOf(''), source: undefined });
  });
});
