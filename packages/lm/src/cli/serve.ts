import type { LanguageModel } from '../language-model.ts';
import { isLoopback } from '../server/hosts.ts';
import { connectRedis, type LanguageModelServer, type Store, serve as start } from '../server/index.ts';
import { defaultName } from '../server/options.ts';
import { remark } from './terminal.ts';

export interface ServeFlags {
  readonly host: string;
  readonly port: number;
  readonly apiKey?: string;
  readonly allowHost?: string[];
  readonly cors?: string[];
  readonly name?: string;
  readonly maxRows: number;
  readonly maxWaiting: number;
  readonly maxTokens: number;
  readonly maxBody: number;
  readonly maxPromptChars: number;
  readonly maxPromptTokens: number;
  readonly splitSpecialTokens?: boolean;
  readonly prefixCache: number;
  readonly store?: string;
  readonly sessionHours: number;
  readonly sessionMib: number;
  readonly sessionLease: number;
  readonly requestsPerMinute?: number;
  readonly tokensPerMinute?: number;
  readonly notice: number;
  readonly grace: number;
  readonly metrics?: boolean;
}

/** A server that listens while its model is loaded. */
export interface Serving {
  /** Serves the model until the signal fires; a second Ctrl-C does not wait for running requests. */
  run(lm: LanguageModel, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

/** Listens, before the model at `location` is loaded, so that a taken port or a missing store is told at once. */
export async function listen(location: string, flags: ServeFlags): Promise<Serving> {
  const {
    maxBody,
    prefixCache,
    allowHost,
    store: url,
    sessionHours,
    sessionMib,
    sessionLease,
    notice,
    grace,
    ...others
  } = flags;
  const { requestsPerMinute, tokensPerMinute, name = defaultName(location), ...settings } = others;
  const store = url === undefined ? undefined : await connectRedis(url);
  let loaded!: (lm: LanguageModel) => void;
  const model = new Promise<LanguageModel>((resolve) => {
    loaded = resolve;
  });
  const server = await startOr(store, () =>
    start(model, {
      ...{ ...settings, name, store, allowHosts: allowHost },
      maxBodyBytes: maxBody * 2 ** 20,
      prefixCacheBytes: prefixCache * 2 ** 20,
      sessions: { ttlMs: sessionHours * 3_600_000, maxBytes: sessionMib * 2 ** 20, leaseMs: sessionLease * 1000 },
      limits: { requestsPerMinute, tokensPerMinute },
      noticeMs: notice * 1000,
      graceMs: grace * 1000,
    }),
  );
  return {
    async run(lm, signal) {
      loaded(lm);
      await server.ready;
      if (flags.apiKey === undefined && !isLoopback(flags.host))
        remark('warning: other machines can reach this server, and it asks for no key (--api-key)');
      remark(`${server.name} at ${server.url}/v1 (Ctrl-C ends it)`);
      await new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        else signal.addEventListener('abort', () => resolve(), { once: true });
      });
      remark('finishing what runs');
      await server.close();
    },
    async close() {
      await server.close();
      await store?.close();
    },
  };
}

async function startOr(
  store: Store | undefined,
  act: () => Promise<LanguageModelServer>,
): Promise<LanguageModelServer> {
  try {
    return await act();
  } catch (error) {
    await store?.close();
    throw error;
  }
}
