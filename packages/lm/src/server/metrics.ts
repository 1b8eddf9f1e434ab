import { MambaError } from '@mamba/core';

/** What a server counts. `docs/serving.md` has a table of these, which a test compares with it. */
export const METRICS = {
  requests: counter('requests_total', 'Requests that were answered.', ['route', 'status']),
  promptTokens: counter('prompt_tokens_total', 'Tokens of prompts, those of cached prefixes included.'),
  generatedTokens: counter('generated_tokens_total', 'Tokens that were written.'),
  running: gauge('sequences_running', 'Sequences in the batch.'),
  waiting: gauge('sequences_waiting', 'Sequences in the queue.'),
  firstToken: histogram('time_to_first_token_seconds', 'From the queue to the first token, for each sequence.'),
  nextToken: histogram('time_between_tokens_seconds', 'From each token of a sequence to the next.'),
  prefixHits: counter('prefix_hits_total', 'Prompts that began at a cached state.'),
  prefixMisses: counter('prefix_misses_total', 'Prompts that began at none.'),
  prefixFetches: counter('prefix_fetches_total', 'States of prompts that came from the store.'),
  prefixStates: gauge('prefix_states', 'States of prompts in memory.'),
  prefixBytes: gauge('prefix_bytes', 'Bytes of these states.'),
  sessionsHeld: gauge('sessions_held', 'Sessions that requests use at the moment.'),
  sessionsSaved: counter('sessions_saved_total', 'Sessions that were saved, by whether they were interrupted.', [
    'interrupted',
  ]),
  sessionBytes: counter('session_bytes_saved_total', 'Bytes of these sessions.'),
  limited: counter('limited_requests_total', 'Requests that were refused because of a limit for each minute.'),
  storeFailures: counter('store_failures_total', 'Calls of the store that failed, by what they were for.', ['use']),
  ready: gauge('ready', '1 if the server takes requests, 0 while it loads or closes.'),
} as const;

export type MetricName = keyof typeof METRICS;

/** Counts, and gives what was counted as Prometheus reads it. */
export interface Metrics {
  /** Adds to a counter. */
  add(name: MetricName, amount: number, labels?: Readonly<Record<string, string>>): void;
  /** Adds a duration to a histogram. */
  observe(name: MetricName, milliseconds: number): void;
  /** Sets what is read anew for each answer: gauges, and counters that are kept elsewhere. */
  read(name: MetricName, value: () => number): void;
  /** The text, and its Content-Type. */
  text(): Promise<{ readonly text: string; readonly type: string }>;
}

/** Counts nothing. */
export const NO_METRICS: Metrics = {
  add() {},
  observe() {},
  read() {},
  text: async () => ({ text: '', type: 'text/plain' }),
};

/** @throws MambaError `unavailable` if the optional peer dependency `prom-client` is not installed. */
export async function openMetrics(): Promise<Metrics> {
  const { Counter, Gauge, Histogram, Registry } = await importClient();
  const registry = new Registry();
  const registers = [registry];
  type Made = InstanceType<typeof Counter> | InstanceType<typeof Gauge> | InstanceType<typeof Histogram>;
  const made = new Map<MetricName, Made>();
  const readers = new Map<MetricName, () => number>();
  for (const [key, { kind, name, help, labels }] of Object.entries(METRICS)) {
    const config = { name, help, labelNames: [...labels], registers };
    if (kind === 'counter') made.set(key as MetricName, new Counter(config));
    else if (kind === 'gauge') made.set(key as MetricName, new Gauge(config));
    else made.set(key as MetricName, new Histogram({ ...config, buckets: BUCKETS }));
  }
  return {
    add(name, amount, labels = {}) {
      const metric = made.get(name);
      if (metric instanceof Counter) metric.inc(labels, amount);
    },
    observe(name, milliseconds) {
      const metric = made.get(name);
      if (metric instanceof Histogram) metric.observe(milliseconds / 1000);
    },
    read(name, value) {
      readers.set(name, value);
    },
    async text() {
      for (const [name, value] of readers) {
        const metric = made.get(name);
        if (metric instanceof Gauge) metric.set(value());
        if (!(metric instanceof Counter)) continue;
        metric.reset();
        metric.inc(value());
      }
      return { text: await registry.metrics(), type: registry.contentType };
    },
  };
}

/** From a token of a small model on a GPU to the prompt of a large one on a CPU, in seconds. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

interface Metric {
  readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
}

function counter(name: string, help: string, labels: readonly string[] = []): Metric {
  return { kind: 'counter', name: `mamba_lm_${name}`, help, labels };
}

function gauge(name: string, help: string): Metric {
  return { kind: 'gauge', name: `mamba_lm_${name}`, help, labels: [] };
}

function histogram(name: string, help: string): Metric {
  return { kind: 'histogram', name: `mamba_lm_${name}`, help, labels: [] };
}

async function importClient(): Promise<typeof import('prom-client')> {
  try {
    return await import('prom-client');
  } catch (cause) {
    throw new MambaError('unavailable', 'metrics need a package that the library goes without', {
      origin: 'serve.metrics',
      remedy: 'Run: npm install prom-client',
      cause,
    });
  }
}
