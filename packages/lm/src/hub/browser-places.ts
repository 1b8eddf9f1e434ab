/** Replaces node-places.ts in browsers, by `imports` of package.json. */
import { openCache } from './browser-cache.ts';
import type { HubCache } from './cache.ts';

/** Browsers have no environment variables. */
export const environment = {
  endpoint: (): string | undefined => undefined,
  token: async (): Promise<string | undefined> => undefined,
  offline: (): boolean => false,
};

/** @param location The name of a cache. Default: `mamba-hub`. */
export function repositoryCache(
  repository: string,
  location: string | undefined,
  { signal }: { readonly signal?: AbortSignal | undefined },
): HubCache {
  return openCache(repository, location ?? 'mamba-hub', { signal });
}
