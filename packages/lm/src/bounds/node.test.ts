import { describe, expect, it } from 'vitest';
import { expectError } from '../../test/helpers.ts';
import { bounded } from './node.ts';

const bounds = { origin: 'x.json', milliseconds: 50, remedy: 'Use another.' };
const forever = (): never => {
  for (;;);
};

describe('bounded code', () => {
  it('returns its value, and throws its errors', () => {
    const made = { a: 1 };
    expect(bounded(bounds, () => made)).toBe(made);
    expect(bounded(bounds, () => bounded(bounds, () => 2) + 1)).toBe(3);
    const error = new RangeError('its own');
    expect(() =>
      bounded(bounds, () => {
        throw error;
      }),
    ).toThrow(error);
  });

  it('is interrupted anywhere, and so is bounded code within it', async () => {
    await expectError(() => bounded(bounds, forever), 'invalid-file', 'x.json', '50 ms', 'Use another.');
    await expectError(() => bounded(bounds, () => /(a+)+$/.exec(`${'a'.repeat(60)}!`)), 'invalid-file', '50 ms');
    const outer = { ...bounds, origin: 'outer' };
    const patient = { ...bounds, milliseconds: 1e9 };
    await expectError(() => bounded(patient, () => bounded(bounds, forever)), 'invalid-file', 'x.json');
    await expectError(() => bounded(outer, () => bounded(patient, forever)), 'invalid-file', 'outer');
    const caught = (): void => {
      try {
        forever();
      } catch {
        forever();
      } finally {
        forever();
      }
    };
    await expectError(() => bounded(bounds, caught), 'invalid-file', '50 ms');
    expect(bounded(bounds, () => 'usable after')).toBe('usable after');
  });

  it('is interrupted by SIGINT, and calls its listener', async () => {
    let heard = 0;
    const listen = (): number => heard++;
    process.on('SIGINT', listen);
    try {
      const act = (): never => {
        process.kill(process.pid, 'SIGINT');
        return forever();
      };
      await expectError(
        () => bounded({ ...bounds, milliseconds: 1e9, interruptible: true }, act),
        'aborted',
        'interrupted',
      );
      expect(heard).toBe(1);
    } finally {
      process.off('SIGINT', listen);
    }
  });
});
