import type { Failures } from './failures.ts';
import type { ProfileEntry } from './profile-entry.ts';
import { MAP_MODE_READ, USAGE } from './usage.ts';

/** Dispatches that one query set can time: it holds at most 4096 timestamps. */
const CAPACITY = 2048;

/**
 * Times every dispatch in a pass of its own, so dispatches cannot overlap: the sum of a profile exceeds the time that
 * the work takes without it.
 */
export class Profiler {
  readonly #device: GPUDevice;
  readonly #failures: Failures;
  readonly #queries: GPUQuerySet;
  readonly #resolved: GPUBuffer;
  readonly #totals = new Map<string, { dispatches: number; nanoseconds: number }>();
  readonly #waiting = new Set<Promise<void>>();
  #labels: string[] = [];
  #readback: GPUBuffer | undefined;

  constructor(device: GPUDevice, failures: Failures) {
    this.#device = device;
    this.#failures = failures;
    this.#queries = device.createQuerySet({ label: 'profile', type: 'timestamp', count: 2 * CAPACITY });
    this.#resolved = device.createBuffer({
      label: 'profile',
      size: 16 * CAPACITY,
      usage: USAGE.QUERY_RESOLVE | USAGE.COPY_SRC,
    });
  }

  get full(): boolean {
    return this.#labels.length === CAPACITY;
  }

  begin(label: string): GPUComputePassTimestampWrites {
    const index = 2 * this.#labels.length;
    this.#labels.push(label);
    return { querySet: this.#queries, beginningOfPassWriteIndex: index, endOfPassWriteIndex: index + 1 };
  }

  resolve(encoder: GPUCommandEncoder): void {
    const count = 2 * this.#labels.length;
    if (count === 0) return;
    const size = 8 * count;
    this.#readback = this.#device.createBuffer({ label: 'profile', size, usage: USAGE.MAP_READ | USAGE.COPY_DST });
    encoder.resolveQuerySet(this.#queries, 0, count, this.#resolved, 0);
    encoder.copyBufferToBuffer(this.#resolved, 0, this.#readback, 0, size);
  }

  submitted(): void {
    const readback = this.#readback;
    const labels = this.#labels;
    this.#readback = undefined;
    this.#labels = [];
    if (readback === undefined) return;
    const report = readback.mapAsync(MAP_MODE_READ).then(
      () => {
        const times = new BigUint64Array(readback.getMappedRange());
        for (const [index, label] of labels.entries()) this.#add(label, times[2 * index]!, times[2 * index + 1]!);
        readback.destroy();
      },
      async (cause: unknown) => {
        throw await this.#failures.rejected('reading the profile', cause);
      },
    );
    // Rejections are delivered by `take`.
    report.catch(() => {});
    this.#waiting.add(report);
  }

  /** Returns the times of all labels since the last call, the longest first. */
  async take(): Promise<readonly ProfileEntry[]> {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    await Promise.all(waiting);
    const entries = [...this.#totals].map(([label, total]) => ({ label, ...total }));
    this.#totals.clear();
    return entries.sort((a, b) => b.nanoseconds - a.nanoseconds);
  }

  dispose(): void {
    this.#queries.destroy();
    this.#resolved.destroy();
  }

  #add(label: string, begin: bigint, end: bigint): void {
    const total = this.#totals.get(label) ?? { dispatches: 0, nanoseconds: 0 };
    total.dispatches++;
    // Quantised timestamps may run backwards.
    total.nanoseconds += Math.max(0, Number(end - begin));
    this.#totals.set(label, total);
  }
}
