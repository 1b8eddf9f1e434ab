import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StopStrings } from '../src/index.ts';
import { expectError } from './helpers.ts';

/** A slow reference: the text before the stop string that is complete first, by checking every prefix. */
function expected(text: string, stops: readonly string[]): { text: string; stopped: boolean } {
  for (let end = 1; end <= text.length; end++) {
    const complete = stops.filter((stop) => text.slice(0, end).endsWith(stop));
    if (complete.length === 0) continue;
    const longest = Math.max(...complete.map(({ length }) => length));
    return { text: text.slice(0, end - longest), stopped: true };
  }
  return { text, stopped: false };
}

describe('stop strings', () => {
  it('give the text before the first one, however it is split', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 12 });
    const stops = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 4 }), {
      maxLength: 3,
    });
    fc.assert(
      fc.property(fc.array(letters, { maxLength: 6 }), stops, (pieces, list) => {
        const watcher = new StopStrings(list);
        let given = '';
        let stopped = false;
        for (const piece of pieces) {
          const result = watcher.push(piece);
          given += result.text;
          stopped = result.stopped;
          if (stopped) break;
          // The held text is the beginning of a stop string, and no longer.
          const held = pieces.join('').startsWith(given);
          expect(held).toBe(true);
        }
        if (!stopped) given += watcher.end();
        expect({ text: given, stopped }).toEqual(expected(pieces.join(''), list));
      }),
      { seed: 13, numRuns: 2000 },
    );
  });

  it('hold back only a possible beginning', () => {
    const watcher = new StopStrings(['\n\n', 'END']);
    expect(watcher.push('one\n').text).toBe('one');
    expect(watcher.push('two').text).toBe('\ntwo');
    expect(watcher.push(' EN').text).toBe(' ');
    expect(watcher.push('E').text).toBe('EN');
    expect(watcher.end()).toBe('E');
    expect(new StopStrings([]).push('any').text).toBe('any');
  });

  it('must not be empty', async () => {
    await expectError(() => new StopStrings(['']), 'invalid-argument', 'stop');
    await expectError(() => new StopStrings([5 as unknown as string]), 'invalid-argument', 'stop');
  });
});
