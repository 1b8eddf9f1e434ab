import { invalid } from '@mamba/core';
import { describe, expect, it } from 'vitest';
import { byFlag, isUsageError, repeatBy, usageHint, withDefaults } from './flags.ts';

describe('withDefaults', () => {
  it('draws on a terminal, by a seed that is told', () => {
    const options = withDefaults({ presencePenalty: 1 }, true);
    expect(options).toEqual({ presencePenalty: 1, temperature: 0.8, topP: 0.95, seed: expect.any(Number) });
    expect(repeatBy(options)).toBe(`--temperature 0.8 --top-p 0.95 --seed ${options.seed}`);
  });

  it('keeps what is given', () => {
    expect(withDefaults({ temperature: 0 }, true)).toEqual({ temperature: 0 });
    expect(withDefaults({ temperature: 1.5, seed: 3 }, true)).toEqual({ temperature: 1.5, seed: 3 });
    expect(withDefaults({ topK: 40, seed: 3 }, true)).toEqual({ topK: 40, temperature: 0.8, seed: 3 });
  });

  it('takes the likeliest tokens for a file or a program', () => {
    expect(withDefaults({}, false)).toEqual({ temperature: 0 });
    expect(withDefaults({ topP: 0.5, temperature: 1 }, false)).toEqual({ topP: 0.5, temperature: 1 });
    expect(repeatBy({ temperature: 0 })).toBeUndefined();
  });
});

it('names the flag of an option of the library', () => {
  for (const [origin, flag] of [
    ['generate.topP', '--top-p'],
    ['store', '--store'],
  ]) {
    const error = byFlag(invalid(origin!, 'x', 'y'));
    expect(error).toMatchObject({ origin: flag, message: `${flag} is not valid: got x, expected y` });
    expect(isUsageError(error)).toBe(true);
  }
});

describe('usageHint', () => {
  it('is given for a prompt that begins with a dash, and not for an option that there is not', () => {
    expect(usageHint('commander.unknownOption', ['generate', 'model', '- one'])).toContain("-- '- one'");
    expect(usageHint('commander.unknownOption', ['generate', 'model', '-5'])).toContain("-- '-5'");
    expect(usageHint('commander.unknownOption', ['generate', 'model', 'And', '--length', '5'])).toBeUndefined();
  });
});
