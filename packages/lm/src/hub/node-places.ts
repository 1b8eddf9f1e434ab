import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { HubCache } from './cache.ts';
import { openCache } from './node-cache.ts';
import { ifPresent } from './node-disk.ts';
import type { LockOptions } from './node-lock.ts';

/** The environment variables of Hugging Face's own tools. An empty one counts as not set. */
export const environment = {
  endpoint: (): string | undefined => process.env.HF_ENDPOINT || undefined,
  /** The token of the environment, or the one that logging in stored. @throws MambaError `io` if it cannot be read. */
  async token(): Promise<string | undefined> {
    const { HF_TOKEN, HUGGING_FACE_HUB_TOKEN, HF_TOKEN_PATH, HF_HUB_DISABLE_IMPLICIT_TOKEN } = process.env;
    if (isOn(HF_HUB_DISABLE_IMPLICIT_TOKEN)) return undefined;
    return (
      HF_TOKEN?.trim() ||
      HUGGING_FACE_HUB_TOKEN?.trim() ||
      ifPresent(readFile(expand(HF_TOKEN_PATH || join(home(), 'token')), 'utf8'))
    );
  },
  offline: (): boolean => isOn(process.env.HF_HUB_OFFLINE),
};

/** @param location A folder. Default: the one of Hugging Face's own tools. */
export function repositoryCache(repository: string, location: string | undefined, options: LockOptions): HubCache {
  const { HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE } = process.env;
  const folder = location ?? expand(HF_HUB_CACHE || HUGGINGFACE_HUB_CACHE || join(home(), 'hub'));
  return openCache(join(folder, `models--${repository.replace('/', '--')}`), options);
}

function home(): string {
  const { HF_HOME, XDG_CACHE_HOME } = process.env;
  return expand(HF_HOME || join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'huggingface'));
}

function expand(path: string): string {
  return path.replace(/^~(?=$|[/\\])/, () => homedir());
}

function isOn(setting: string | undefined): boolean {
  return /^(1|true|yes|on)$/i.test(setting?.trim() ?? '');
}
