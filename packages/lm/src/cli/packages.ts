import { readFileSync } from 'node:fs';

/**
 * What to say where a package of the command line is not installed: the library goes without it. Undefined for any
 * other error.
 */
export function missingPackages(error: unknown): string | undefined {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const { peerDependencies } = JSON.parse(manifest) as { readonly peerDependencies: Readonly<Record<string, string>> };
  const { code, message } = error as { readonly code?: unknown; readonly message?: unknown };
  const isPeer = (name: string) => String(message).includes(`'${name}'`) || String(message).includes(`'${name}/`);
  if (code !== 'ERR_MODULE_NOT_FOUND' || !Object.keys(peerDependencies).some(isPeer)) return undefined;
  // These two are asked for where an option needs them.
  const wanted = Object.entries(peerDependencies).filter(([name]) => !['@redis/client', 'prom-client'].includes(name));
  const packages = wanted.map(([name, range]) => `${name}@${range}`).join(' ');
  return `mamba-lm: the command line needs packages that the library goes without; run: npm install ${packages}`;
}
