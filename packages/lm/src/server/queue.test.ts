import { describe, expect, it } from 'vitest';
import { expectError } from '../../test/helpers.ts';
import { Queue } from './queue.ts';

const never = new AbortController().signal;

describe('a queue', () => {
  it('runs jobs one at a time, in order, and continues after a failure', async () => {
    const queue = new Queue(10);
    const seen: string[] = [];
    const act = (name: string) => async (): Promise<string> => {
      seen.push(`${name} begins`);
      await Promise.resolve();
      seen.push(`${name} ends`);
      if (name === 'b') throw new Error('its own');
      return name;
    };
    const all = await Promise.allSettled(['a', 'b', 'c'].map((name) => queue.run(never, act(name))));
    expect(all.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(seen).toEqual(['a', 'b', 'c'].flatMap((name) => [`${name} begins`, `${name} ends`]));
    await queue.idle();
  });

  it('refuses jobs beyond its limit, and drops aborted ones', async () => {
    const queue = new Queue(2);
    let free = (): void => {};
    const held = queue.run(
      never,
      () =>
        new Promise<void>((resolve) => {
          free = resolve;
        }),
    );
    await Promise.resolve();
    await Promise.resolve();
    const leaving = new AbortController();
    const waiting = [queue.run(leaving.signal, async () => 1), queue.run(never, async () => 2)];
    expect(queue.full).toBe(true);
    await expect(queue.run(never, async () => 3)).rejects.toMatchObject({ status: 429 });
    leaving.abort();
    free();
    await held;
    await expectError(() => waiting[0], 'aborted', 'serve');
    expect(await waiting[1]).toBe(2);
    expect(queue.full).toBe(false);
  });
});
