import type { Hono } from 'hono';
import type { Env } from './deliver.ts';
import { ApiError } from './errors.ts';
import type { Metrics } from './metrics.ts';

/** Whether a server takes requests, and why not. One that is leaving still does, but asks for none. */
export type Phase = 'loading' | 'ready' | 'leaving' | 'draining' | 'failed';

export interface ProbeOptions {
  readonly phase: () => Phase;
  readonly load: () => { readonly running: number; readonly waiting: number };
}

/** Adds /health, which says that the process lives, and /ready, which says whether it takes requests. */
export function addProbes(app: Hono<Env>, { phase, load }: ProbeOptions): void {
  app.get('/health', (c) => c.json({ status: 'ok', ...load() }));
  app.get('/ready', (c) => {
    const now = phase();
    c.header('Cache-Control', 'no-store');
    return now === 'ready' ? c.json({ ready: true }) : c.json({ ready: false, phase: now }, 503);
  });
}

/** Adds /metrics. */
export function addMetrics(app: Hono<Env>, metrics: Metrics): void {
  app.get('/metrics', async (c) => {
    const { text, type } = await metrics.text();
    return c.body(text, 200, { 'Content-Type': type });
  });
}

/** The error for requests while the server does not take any; undefined while it does. */
export function notReady(phase: Phase): ApiError | undefined {
  if (phase === 'ready' || phase === 'leaving') return undefined;
  const [message, seconds] = WHY[phase];
  return new ApiError(503, 'server_error', message, null, phase, seconds);
}

const WHY = {
  loading: ['The model is being loaded.', 5],
  failed: ['The model could not be loaded; the log of the server says why.', 30],
  draining: ['The server is closing. Another one, or the next, answers.', 1],
} as const;
