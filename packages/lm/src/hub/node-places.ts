import { join } from 'node:path';
import { getHFHubCachePath, getRepoFolderName } from '@huggingface/hub';
import type { HubCache } from './cache.ts';
import { openCache } from './node-cache.ts';

/** Settings that Hugging Face's own tools take from the environment. */
export const environment = {
  endpoint: (): string | undefined => process.env.HF_ENDPOINT,
  token: (): string | undefined => process.env.HF_TOKEN,
  offline: (): boolean => /^(1|true|yes|on)$/i.test(process.env.HF_HUB_OFFLINE ?? ''),
};

/** @param location A folder; default: the one that Hugging Face's own tools use. */
export function repositoryCache(repository: string, location: string | undefined): HubCache {
  const folder = location ?? getHFHubCachePath();
  return openCache(join(folder, getRepoFolderName({ type: 'model', name: repository })));
}
