import type { LanguageModel } from '../language-model.ts';
import { isLoopback } from '../server/hosts.ts';
import { serve as start } from '../server/index.ts';
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
}

/** Serves until the signal fires; a second Ctrl-C does not wait for running requests. */
export async function serveModel(lm: LanguageModel, flags: ServeFlags, signal: AbortSignal): Promise<void> {
  const { maxBody, prefixCache, allowHost, apiKey, ...others } = flags;
  const server = await start(lm, {
    ...others,
    apiKey,
    allowHosts: allowHost,
    maxBodyBytes: maxBody * 2 ** 20,
    prefixCacheBytes: prefixCache * 2 ** 20,
  });
  try {
    if (apiKey === undefined && !isLoopback(flags.host))
      remark('warning: other machines can reach this server, and it asks for no key (--api-key)');
    remark(`${server.name} at ${server.url}/v1 (Ctrl-C ends it)`);
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener('abort', () => resolve(), { once: true });
    });
    remark('finishing what runs');
  } finally {
    await server.close();
  }
}
