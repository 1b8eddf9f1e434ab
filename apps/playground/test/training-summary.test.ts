import { describe, expect, it } from 'vitest';
import { duration } from '../src/format.ts';
import { testLengths } from '../src/training/heads.ts';
import { describeAccuracy, describeLoss, rightWords, runningMeans } from '../src/training/summary.ts';

const RESULTS = [
  { length: 8, right: 64, answers: 64 },
  { length: 16, right: 63, answers: 64 },
  { length: 32, right: 32, answers: 64 },
  { length: 128, right: 4, answers: 64 },
];

describe('a training in words', () => {
  it('tells the accuracy at lengths that are trained, and at others', () => {
    // 127 of 128 is less than 100 %, and 36 of 128 is 28.1 %.
    expect(rightWords(RESULTS, [8, 16])).toBe('99 % right at lengths 8 and 16, 28 % at longer ones');
    expect(rightWords(RESULTS, [8])).toBe('100 % right at length 8, 51 % at longer ones');
    expect(describeAccuracy(20, RESULTS.slice(0, 3), [8, 16])).toBe(
      'Right answers by length after step 20. 8, trained: 64 of 64; 16, trained: 63 of 64; 32: 32 of 64.',
    );
    expect(describeAccuracy(undefined, [], [8])).toContain('nothing is measured yet');
  });

  it('tells the loss as means of as many steps as there are', () => {
    expect(runningMeans([4, 2, 3, 1], 2)).toEqual([4, 3, 2.5, 2]);
    expect(runningMeans([4, 2], 9)).toEqual([4, 3]);
    expect(describeLoss([4, 2, 0, 4], 2)).toBe('Loss by step, of 4: 4.00 at first, 2.00 now; the lowest is 1.00.');
    expect(describeLoss([], 2)).toContain('no step is done yet');
  });

  it('tells the time left', () => {
    expect([0, 0.2, 59.5, 61].map(duration)).toEqual(['0 s', '1 s', '1 min 0 s', '1 min 1 s']);
  });
});

describe('the lengths to test at', () => {
  it('are those that are trained, and two longer ones', () => {
    expect(testLengths([8, 16, 32])).toEqual([8, 16, 32, 64, 256]);
    expect(testLengths([256])).toEqual([256, 512, 2048]);
  });
});
