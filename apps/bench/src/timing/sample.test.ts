import { describe, expect, it } from 'vitest';
import { localTimer, type SampleOutcome, type SamplerOptions, sampleInterleaved, type Timer } from './sample.ts';

/** Timers that report the time they are given, on a clock of their own. */
class Track {
  time = 0;
  readonly log: string[] = [];

  timer(name: string, milliseconds: () => number): Timer {
    let pending = 0;
    const calls = {
      run: () => {
        pending += milliseconds();
      },
      // The clock moves only while somebody waits, so a sampler that does not wait measures 0.
      synchronize: async () => {
        this.time += pending;
        pending = 0;
        this.log.push(name);
      },
    };
    return localTimer(calls, () => this.time);
  }

  options(overrides: Partial<SamplerOptions> = {}): SamplerOptions {
    return {
      budget: 1000,
      minSamples: 3,
      precision: 0,
      minSample: 4,
      pause: async () => {},
      ...overrides,
    };
  }
}

const timeOf = (outcome: SampleOutcome | undefined) => {
  if (outcome === undefined || !('time' in outcome)) throw new Error('was not measured');
  return outcome.time;
};

describe('sampleInterleaved', () => {
  it('measures a call, device awaited, with many short calls in a sample', async () => {
    const track = new Track();
    const [short, long] = await sampleInterleaved(
      [track.timer('short', () => 0.5), track.timer('long', () => 100)],
      track.options(),
    );
    expect(timeOf(short)).toMatchObject({ median: 0.0005, callsPerSample: 8 });
    expect(timeOf(long)).toMatchObject({ median: 0.1, callsPerSample: 1 });
  });

  it('lets timers take turns', async () => {
    const track = new Track();
    await sampleInterleaved([track.timer('a', () => 200), track.timer('b', () => 200)], track.options());
    // One call to warm up, and three samples each.
    expect(track.log).toEqual(['a', 'b', 'a', 'b', 'a', 'b', 'a', 'b']);
  });

  it('stops early where the median is certain, and never before the least number of samples', async () => {
    const track = new Track();
    const steady = track.timer('steady', () => 10);
    const [early] = await sampleInterleaved([steady], track.options({ budget: 1e6, precision: 0.01 }));
    expect(timeOf(early).n).toBe(3);
    const slow = track.timer('slow', () => 5000);
    const [spent] = await sampleInterleaved([slow], track.options({ minSamples: 4 }));
    expect(timeOf(spent).n).toBe(4);
  });

  it('goes on for the whole budget where samples spread', async () => {
    const track = new Track();
    let call = 0;
    const noisy = track.timer('noisy', () => (call++ % 2 === 0 ? 10 : 90));
    const [outcome] = await sampleInterleaved([noisy], track.options({ precision: 0.01 }));
    expect(timeOf(outcome).n).toBeGreaterThan(10);
    expect(timeOf(outcome).p10).toBeCloseTo(0.01, 12);
    expect(timeOf(outcome).p90).toBeCloseTo(0.09, 12);
  });

  it('asks for the limit after each sample, apart from the time, and gives its median', async () => {
    const track = new Track();
    const limits = [5, 1, 3];
    const beside = { ...track.timer('beside', () => 200), limit: async () => limits.shift()! };
    const [outcome, alone] = await sampleInterleaved([beside, track.timer('alone', () => 200)], track.options());
    expect(outcome).toMatchObject({ time: { median: 0.2, n: 3 }, limit: 3 });
    expect(limits).toEqual([]);
    expect(alone).not.toHaveProperty('limit');
  });

  it('drops a timer that throws, and goes on with the others', async () => {
    const track = new Track();
    const failure = new Error('device lost');
    let calls = 0;
    const failing: Timer = {
      async time() {
        if (++calls === 3) throw failure;
        return 100;
      },
    };
    const [bad, good] = await sampleInterleaved([failing, track.timer('good', () => 100)], track.options());
    expect(bad).toEqual({ error: failure });
    expect(timeOf(good).median).toBe(0.1);
  });

  it('stops where pause throws', async () => {
    const track = new Track();
    let pauses = 0;
    const pause = async (): Promise<void> => {
      if (++pauses === 4) throw new Error('stopped');
    };
    await expect(sampleInterleaved([track.timer('a', () => 10)], track.options({ pause }))).rejects.toThrow('stopped');
  });
});
