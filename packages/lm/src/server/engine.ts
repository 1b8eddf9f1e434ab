import { Batcher } from '../generate/batcher.ts';
import { requireTokenizer } from '../generate/request.ts';
import type { LanguageModel } from '../language-model.ts';
import type { AppOptions } from './app.ts';
import { RateLimiter } from './limits.ts';
import type { Metrics } from './metrics.ts';
import type { Settings } from './options.ts';
import { PromptEncoder } from './prompt-encoder.ts';
import { Queue } from './queue.ts';
import { Sessions } from './sessions/sessions.ts';
import { SharedPrefixCache } from './shared-prefixes.ts';

/** What a server runs a model with: its batch, its caches and its queues. */
export class Engine {
  readonly lm: LanguageModel;
  readonly parts: Pick<AppOptions, 'batcher' | 'encoder' | 'serialJobs' | 'prefixCache' | 'sessions' | 'limiter'>;

  /** @throws MambaError `unsupported` for a model without a tokenizer. */
  constructor(lm: LanguageModel, settings: Settings, metrics: Metrics) {
    requireTokenizer(lm);
    const { store, maxRows, maxWaiting, prefixCacheBytes: maxBytes, sharedPrefixMs: ttlMs } = settings;
    this.lm = lm;
    this.parts = {
      batcher: new Batcher(lm, { maxRows, maxWaiting }),
      encoder: new PromptEncoder(lm, maxWaiting),
      serialJobs: new Queue(maxWaiting),
      prefixCache: maxBytes > 0 ? new SharedPrefixCache(lm, { maxBytes, store, metrics, ttlMs }) : undefined,
      sessions: new Sessions(lm, store, settings.sessionSettings),
      limiter: new RateLimiter(settings.rates, store, metrics),
    };
    const { batcher, prefixCache, sessions } = this.parts;
    metrics.read('running', () => batcher.load.running);
    metrics.read('waiting', () => batcher.load.waiting);
    metrics.read('prefixHits', () => prefixCache?.lookups.hits ?? 0);
    metrics.read('prefixMisses', () => prefixCache?.lookups.misses ?? 0);
    metrics.read('prefixStates', () => prefixCache?.size ?? 0);
    metrics.read('prefixBytes', () => prefixCache?.bytes ?? 0);
    metrics.read('sessionsHeld', () => sessions.held);
  }

  async dispose(): Promise<void> {
    const { batcher, encoder, serialJobs, prefixCache } = this.parts;
    await Promise.all([encoder.dispose(), serialJobs.idle()]);
    await batcher.dispose();
    await prefixCache?.idle();
    prefixCache?.dispose();
  }
}
