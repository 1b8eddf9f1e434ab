import { invalid } from '@mamba/core';

/** A parsed id. */
export interface HubId {
  readonly repository: string;
  readonly revision: string | undefined;
  /** The folder of the repository, with a slash at its end; empty for the root. */
  readonly folder: string;
  /** The name of one GGUF file in the folder. */
  readonly file: string | undefined;
  /** The quantisation of a GGUF file, such as `Q8_0`. */
  readonly quantization: string | undefined;
}

const EXPECTED = 'owner/name, owner/name@revision, owner/name/folder, owner/name/file.gguf, or owner/name:Q8_0';

/** @throws MambaError `invalid-argument` */
export function parseId(id: string): HubId {
  const wrong = (): Error => invalid('the id of a repository', JSON.stringify(id), EXPECTED);
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
 * Splits the text after `@`. Unless it ends in a GGUF file, all of it is the revision, slashes included. Before a file
 * the revision is one name, or `refs/pr/1`; slashes in others must be written as %2F.
 */
function splitRevision(text: string): { revision: string; path?: string } {
  const [, first, path] = (/\.gguf$/i.test(text) && /^(refs\/[^/]+\/[^/]+|[^/]+)\/(.+)$/.exec(text)) || [];
  const revision = (first ?? text).replace(/%2F/gi, '/');
  return path === undefined ? { revision } : { revision, path };
}

function isPlain(name: string): boolean {
  return /^[^/\\\0:]+$/.test(name) && name !== '.' && name !== '..';
}
