import { invalid } from '@mamba/core';

/** What is meant by an id. */
export interface HubId {
  readonly repository: string;
  readonly revision: string | undefined;
  /** Of the repository, with a slash at its end; empty for its root. */
  readonly folder: string;
  /** One GGUF file of the folder. */
  readonly file: string | undefined;
  /** Which of the repository's GGUF files: `Q8_0`. */
  readonly quantization: string | undefined;
}

const EXPECTED = 'owner/name, owner/name@revision, owner/name/folder, owner/name/file.gguf, or owner/name:Q8_0';

/** @throws MambaError `invalid-argument`. */
export function parseId(id: string): HubId {
  const wrong = (): Error => invalid('hub.id', JSON.stringify(id), EXPECTED);
  const whole = /^(?:hf:)?([\w-][\w.-]*\/[\w-][\w.-]*)(?:@([^@:]+)|\/([^@:]+))?(?::([\w.-]+))?$/.exec(String(id));
  if (whole === null) throw wrong();
  const [, repository, after, below, quantization] = whole;
  const { revision, path = '' } = after === undefined ? { revision: undefined, path: below } : splitRevision(after);
  const names = path.split('/');
  if (path !== '' && !names.every(isPlain)) throw wrong();
  const file = /\.gguf$/i.test(path) ? names.pop() : undefined;
  if (file !== undefined && quantization !== undefined) throw wrong();
  const folder = names.map((name) => (name === '' ? '' : `${name}/`)).join('');
  return { repository: repository!, revision, folder, file, quantization };
}

/**
 * A revision may have slashes, and where no file follows all of it is one. Before a file it is one name, or
 * `refs/pr/1`; slashes of others are written %2F then.
 */
function splitRevision(text: string): { revision: string; path?: string } {
  const [, first, path] = (/\.gguf$/i.test(text) && /^(refs\/[^/]+\/[^/]+|[^/]+)\/(.+)$/.exec(text)) || [];
  const revision = (first ?? text).replace(/%2F/gi, '/');
  return path === undefined ? { revision } : { revision, path };
}

function isPlain(name: string): boolean {
  return /^[^/\\\0:]+$/.test(name) && name !== '.' && name !== '..';
}
