/** Stands for node-places.ts in browsers; chosen by package.json's `imports`. */
import { openCache } from './browser-cache.ts';
import type { HubCache } from './cache.ts';

/** There is none. */
export const environment = {
  endpoint: (): string | undefined => undefined,
  token: async (): Promise<string | undefined> => undefined,
  offline: (): boolean => false,
};

/** @param location Name of a cache; default: `mamba-hub`. */
export function repositoryCache(
  repository: string,
  location: string | undefined,
  { signal }: { readonly signal?: AbortSignal | undefined },
): HubCache {
  return openCache(repository, location ?? 'mamba-hub', { signal });
}
