import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Allocation, Allocator } from './allocator.ts';

const GIB = 2 ** 30;

describe('Allocator', () => {
  test('allocations are aligned, never overlap, stay below the end, and everything merges again', () => {
    const command = fc.oneof(
      fc.record({ allocate: fc.integer({ min: 0, max: 5000 }) }),
      fc.record({ free: fc.nat(50), times: fc.integer({ min: 1, max: 2 }) }),
    );
    fc.assert(
      fc.property(fc.array(command, { maxLength: 200 }), fc.integer({ min: 0, max: 200 }), (commands, start) => {
        let end = 0;
        const allocator = new Allocator(start, (wanted) => {
          if (wanted > 200_000) return false;
          end = Math.max(end, wanted);
          return true;
        });
        const live: Allocation[] = [];
        for (const step of commands) {
          if ('allocate' in step) {
            const allocation = allocator.allocate(step.allocate);
            if (allocation !== undefined) {
              expect(allocation.bytes).toBeGreaterThanOrEqual(step.allocate);
              live.push(allocation);
            }
          } else if (live.length > 0) {
            const [allocation] = live.splice(step.free % live.length, 1);
            for (let time = 0; time < step.times; time++) allocation!.free();
          }
          const sorted = [...live].sort((a, b) => a.address - b.address);
          for (const [index, { address, bytes }] of sorted.entries()) {
            expect(address % 64).toBe(0);
            expect(address).toBeGreaterThanOrEqual(start);
            expect(address + bytes).toBeLessThanOrEqual(sorted[index + 1]?.address ?? end);
          }
          expect(allocator.used).toBe(live.reduce((sum, { bytes }) => sum + bytes, 0));
        }
        for (const allocation of live) allocation.free();
        expect(allocator.used).toBe(0);
        // One free range is left, so the whole memory can be allocated in one piece, without growth.
        const reached = end;
        if (reached > 0) {
          const whole = allocator.allocate(reached - Math.ceil(start / 64) * 64);
          expect(whole?.address).toBe(Math.ceil(start / 64) * 64);
          expect(end).toBe(reached);
        }
      }),
    );
  });

  test('addresses above 2 GiB are positive', () => {
    const allocator = new Allocator(64, (end) => end <= 4 * GIB);
    allocator.allocate(3 * GIB);
    expect(allocator.allocate(64)?.address).toBe(3 * GIB + 64);
    expect(allocator.allocate(GIB)).toBeUndefined();
    expect(allocator.used).toBe(3 * GIB + 64);
  });

  test('a request that fails changes nothing', () => {
    const allocator = new Allocator(0, (end) => end <= 1024);
    const allocation = allocator.allocate(512)!;
    expect(allocator.allocate(1024)).toBeUndefined();
    allocation.free();
    expect(allocator.allocate(1024)?.address).toBe(0);
  });
});
