import { describe, expect, it } from 'vitest';
import { invalid, isMambaError, MambaError, messageWithHelp } from './errors.ts';

describe('MambaError', () => {
  it('says what was given, what was expected and what to do, in words and as data', () => {
    const error = invalid('linear.weight', 'float32 [2, 3]', '[2, 4]', 'Transpose it.');
    expect(error.message).toBe('linear.weight is not valid: got float32 [2, 3], expected [2, 4]. Transpose it.');
    expect(error).toMatchObject({
      name: 'MambaError',
      code: 'invalid-argument',
      origin: 'linear.weight',
      given: 'float32 [2, 3]',
      expected: '[2, 4]',
      remedy: 'Transpose it.',
      help: 'docs/errors.md#invalid-argument',
    });
    expect(new MambaError('aborted', 'stopped', { expected: 'an end' }).message).toBe('stopped: expected an end');
    expect(new MambaError('aborted', 'stopped').message).toBe('stopped');
  });

  it('keeps its cause', () => {
    const cause = new RangeError('too large');
    expect(new MambaError('out-of-memory', 'full', { cause }).cause).toBe(cause);
    expect('cause' in new MambaError('out-of-memory', 'full')).toBe(false);
  });

  it('is printed with the section of its code, also from a copy that has no such section yet', () => {
    expect(messageWithHelp(new MambaError('io', 'it failed'))).toBe('it failed\nsee docs/errors.md#io');
    const foreign = Object.assign(new Error('from another copy'), { [Symbol.for('@mamba/error')]: true, code: 'io' });
    if (!isMambaError(foreign)) throw foreign;
    expect(messageWithHelp(foreign)).toBe('from another copy\nsee docs/errors.md#io');
  });

  it('is recognised across copies of the package, and by code', () => {
    const foreign = Object.assign(new Error('from another copy'), {
      [Symbol.for('@mamba/error')]: true,
      code: 'disposed',
    });
    expect(isMambaError(foreign)).toBe(true);
    expect(isMambaError(foreign, 'disposed')).toBe(true);
    expect(isMambaError(foreign, 'foreign')).toBe(false);
    for (const other of [new Error('x'), null, undefined, 'disposed', { code: 'disposed' }])
      expect(isMambaError(other)).toBe(false);
  });
});
