/**
 * A small load test; `FLOOD_CLIENTS=256 FLOOD_SECONDS=60 npx vitest run --project @mamba/lm flood` is the full one, and
 * prints figures.
 */
import { describe, expect, it } from 'vitest';
import { flood } from './flood.ts';

const clients = Number(process.env.FLOOD_CLIENTS ?? 24);
const seconds = Number(process.env.FLOOD_SECONDS ?? 0);

describe('a flood of clients', () => {
  it('does not change the answers of well-behaved clients', async () => {
    const end = performance.now() + seconds * 1000;
    const goesOn = seconds > 0 ? () => performance.now() < end : (done: number) => done < 8;
    const { latencies, different, statuses, memory, exitCode, log } = await flood({ clients, goesOn });
    const share = (part: number): number => Math.round(latencies[Math.floor((latencies.length - 1) * part)]!);
    if (seconds > 0)
      console.log(
        JSON.stringify({
          answers: latencies.length,
          p50: share(0.5),
          p95: share(0.95),
          p99: share(0.99),
          most: share(1),
        }),
        JSON.stringify({ different, statuses, memory, exitCode }),
        log,
      );
    expect(latencies.length).toBeGreaterThan(0);
    expect(different).toBe(0);
    // The server never failed.
    expect(Object.keys(statuses).filter((status) => Number(status) >= 500)).toEqual([]);
    expect(log).not.toMatch(/Error|Warning/);
    expect(exitCode).toBe(0);
  });
});
